import { useEffect } from 'react'

const over = '[role="dialog"], [role="menu"]'
let last: EventTarget | null // what had the focus on the page, under all that opens over it

document.addEventListener('focusin', (e) => {
  if (!(e.target as Element).closest(over)) last = e.target
})

/** For a dialog that is there only while it is open: gives the focus back to where it was on the page. */
export function useFocusBack() {
  useEffect(() => () => {
    // Once the dialog has gone, if neither another one nor the page took the focus.
    setTimeout(() => {
      if (document.activeElement === document.body && !document.querySelector(over) && last instanceof HTMLElement && last.isConnected) last.focus()
    })
  }, [])
}
