import { useSyncExternalStore } from 'react'

const query = matchMedia('(max-width: 900px)')

function follow(tell: () => void) {
  query.addEventListener('change', tell)
  return () => query.removeEventListener('change', tell)
}

/** Whether there is room for one column only. */
export const useNarrow = () => useSyncExternalStore(follow, () => query.matches)
