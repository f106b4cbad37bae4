import './app/mantine'
import './app/tokens.css'
import './app/panel.css'
import './app/shell.css'
import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Refusal } from './api/client'
import { askWho, MeProvider } from './app/me'
import { askPosture, PostureProvider } from './app/posture'
import { router } from './app/router'
import { resolver, theme } from './app/theme'

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1000,
      // A refusal stays one; who was not reached is asked again.
      retry: (times, error) => !(error instanceof Refusal && error.status > 0 && error.status < 500) && times < 3,
    },
    mutations: { retry: false },
  },
})

// Nothing can be shown before all three are there, and none needs another.
await Promise.all([askWho(client), askPosture(), router.load()])

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={resolver} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <MeProvider>
          <PostureProvider>
            <RouterProvider router={router} />
          </PostureProvider>
        </MeProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
