import { useEffect } from 'react'

const place = (key: string) => `portcullis.draft.${key}`

const came = () => (performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming | undefined)?.type

/** What was typed before a reload. Leaving a page forgets it: nobody is to find yesterday's words in today's emergency. */
export function recall<T extends object>(key: string): Partial<T> {
  try {
    if (came() !== 'navigate') return JSON.parse(sessionStorage.getItem(place(key)) ?? '{}') as Partial<T>
  } catch {
    // It is not what was kept.
  }
  return {}
}

/** Keeps what is typed over a reload of the page. */
export function useKept(key: string, value: object) {
  useEffect(() => sessionStorage.removeItem(place(key)), [key])
  useEffect(() => {
    const keep = () => sessionStorage.setItem(place(key), JSON.stringify(value))
    addEventListener('pagehide', keep)
    return () => removeEventListener('pagehide', keep)
  }, [key, value])
}
