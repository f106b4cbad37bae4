import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

// `npm run dev` serves the sources and passes the API on to a portcullis that runs beside it.
const api = process.env.PORTCULLIS_ADDRESS ?? 'http://127.0.0.1:8080'

/** Refuses to build where a part of Mantine is used whose styles src/app/mantine.ts does not name. */
function stylesOfMantine(): Plugin {
  const named = new Set<string>()
  return {
    name: 'styles-of-mantine',
    apply: 'build',
    transform: { filter: { id: /@mantine\/core\/styles\/\w+\.css/ }, handler: (_, id) => void named.add(/(\w+)\.css/.exec(id)?.[1] ?? '') },
    generateBundle(_, bundle) {
      const used = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? Object.keys(file.modules) : []))
      const parts = used.flatMap((id) => /@mantine\/core\/esm\/.*\/(\w+)\.module\.mjs$/.exec(id)?.[1] ?? [])
      const missing = parts.filter((part) => !named.has(part))
      if (missing.length > 0) this.error(`src/app/mantine.ts lacks the styles of ${missing.join(', ')}`)
    },
  }
}

export default defineConfig({
  plugins: [react(), stylesOfMantine()],
  build: {
    outDir: '../console/dist',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // which know light-dark()
    rolldownOptions: {
      output: {
        // Few files, so that the first page waits for few, and none of what only later ones need.
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules\/(react|react-dom)\// },
            { name: 'libraries', test: /node_modules\/(react-i18next|i18next|openapi-fetch|@tanstack)\/|MantineProvider\// },
            { name: 'frame', test: /src\/(app|api|parts\/(Chip|CodeInput|Gate|GrantStep|Head|Note))|@tabler\// },
            { name: 'controls', test: /node_modules|src\/parts\// },
          ],
        },
      },
    },
  },
  server: { host: '127.0.0.1', proxy: { '/v1': api, '/plain': api, '/docs': api, '/docs.css': api, '/openapi.json': api } },
})
