import { useEffect, useRef } from 'react'
import { keysOn, typing } from '../../app/keys'

type Acts = { devices: (id: string) => void; cancel: (id: string) => void }

const row = '[data-id]'
const pause = 1500

/**
 * j and k move through the rows; Enter is the Details button's, which they focus. d shows the devices, and Del leads to
 * Cancel, of the row that has the focus. Nothing of it works under a drawer.
 */
export function useRowKeys(acts: Acts, off: boolean) {
  const now = useRef(acts)
  now.current = acts
  useEffect(() => {
    if (off) return
    let g = -pause
    const press = (e: KeyboardEvent) => {
      // "g d" goes to the devices page, and is no d.
      const second = e.timeStamp - g < pause
      g = e.key === 'g' && !second ? e.timeStamp : -pause
      if (second || !keysOn() || typing(e)) return
      const rows = [...document.querySelectorAll<HTMLElement>(row)]
      const at = rows.findIndex((r) => r.contains(document.activeElement))
      if (e.key === 'j' || e.key === 'k') focus(rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === 'j' ? 1 : -1)))])
      const id = rows[at]?.dataset.id
      if (id && e.key === 'd') now.current.devices(id)
      if (id && e.key === 'Delete') now.current.cancel(id)
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [off])
}

function focus(element: HTMLElement | undefined) {
  const details = element?.querySelector<HTMLElement>('[data-details]')
  details?.focus()
  element?.scrollIntoView({ block: 'nearest' })
}
