import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// `npm run dev` serves the sources and passes the API on to a portcullis that runs beside it.
const api = process.env.PORTCULLIS_ADDRESS ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../console/dist',
    emptyOutDir: true,
    chunkSizeWarningLimit: 700, // kB before compression; 350 kB after it is what is asked of all together
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'], // which know light-dark()
    rolldownOptions: {
      output: {
        // Few files, so that the first page waits for few: the libraries in one, and what all pages share.
        codeSplitting: {
          groups: [
            { name: 'libraries', test: /node_modules/ },
            { name: 'frame', test: /src\/(app|api|parts)\// },
          ],
        },
      },
    },
  },
  server: { host: '127.0.0.1', proxy: { '/v1': api, '/plain': api, '/docs': api, '/docs.css': api, '/openapi.json': api } },
})
