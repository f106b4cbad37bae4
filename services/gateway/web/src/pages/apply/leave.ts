import { useRouter } from '@tanstack/react-router'
import { useEffect } from 'react'

/** Goes back to where one came from, or to the overview. */
export function useLeave() {
  const router = useRouter()
  return () => (router.history.canGoBack() ? router.history.back() : void router.navigate({ to: '/' }))
}

/** Esc leaves and does nothing else. It first closes what is open, and waits while something is on its way. */
export function useEscape(leave: () => void, held: boolean) {
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.key !== 'Escape' || held || e.defaultPrevented) return
      const at = e.target as HTMLElement
      if (at.closest('[aria-expanded="true"], .find, .side') || document.querySelector('[role="dialog"], [role="menu"]')) return
      leave()
    }
    // Before what is open closes on the same key.
    document.addEventListener('keydown', press, true)
    return () => document.removeEventListener('keydown', press, true)
  }, [leave, held])
}
