import { useEffect, useSyncExternalStore } from 'react'

// The crumbs of the page that is open: pages set them, the header shows them.
let crumbs: string[] = []
const listeners = new Set<() => void>()

export function useCrumbs(): string[] {
  return useSyncExternalStore(
    (hear) => {
      listeners.add(hear)
      return () => listeners.delete(hear)
    },
    () => crumbs,
  )
}

/** Names the page, in the header and in the browser's tab: from the general to the particular. */
export function useTitle(...names: string[]) {
  const text = names.join('\n')
  useEffect(() => {
    crumbs = text.split('\n')
    document.title = `${crumbs.at(-1)} - Portcullis`
    for (const hear of listeners) hear()
  }, [text])
}
