import { useEffect, useRef } from 'react'

/**
 * Lets an act begin once until it has ended: of a double click, the second comes before the first is known to be under
 * way. Ended is what is not busy any more, or has another error than before.
 */
export function useSingle(busy: boolean | undefined, error: unknown): (act: () => void) => void {
  const begun = useRef(false)
  useEffect(() => {
    if (!busy) begun.current = false
  }, [busy, error])
  return (act) => {
    if (busy || begun.current) return
    begun.current = true
    act()
  }
}
