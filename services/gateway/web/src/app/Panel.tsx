import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconHold from '@tabler/icons-react/dist/esm/icons/IconHandStop.mjs'
import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconShieldLock from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import IconTarget from '@tabler/icons-react/dist/esm/icons/IconTarget.mjs'
import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { keysOn } from './keys'
import { useMay } from './me'
import { shell } from './text'

const panel = [
  ['/emergency/terminate', 'terminate', IconTarget, 't'],
  ['/emergency/freeze', 'freezing', IconSnowflake, 'f'],
  ['/emergency/lock', 'lock', IconShieldLock, 'k'],
  ['/emergency/lockdown', 'lockdown', IconLock, 'l'],
  ['/emergency/hold', 'hold', IconHold, 'h'],
] as const

/** The way to the acts, for those who may. Written by hand: it is in every page's first paint, for a few lines. */
export function Panel() {
  const t = shell.useTexts()
  const box = useRef<HTMLDivElement>(null)
  const menu = useMenu(box)
  const keys = keysOn()
  if (!useMay('System.EmergencyPanel.Control')) return null
  return (
    <div className="menubox" ref={box} onBlur={(e) => !box.current?.contains(e.relatedTarget) && menu.close(false)}>
      <button
        type="button" className="btn ink panel" aria-label={t('panel')} aria-haspopup="menu" aria-expanded={menu.open} aria-controls={menu.open ? 'panel-menu' : undefined}
        onClick={() => (menu.open ? menu.close(true) : menu.show())}
        onKeyDown={(e) => {
          if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return
          e.preventDefault()
          menu.show()
        }}
      >
        <IconAlert className="i" stroke={1.8} aria-hidden />
        <span>{t('panel')}</span>
        {keys && <kbd aria-hidden>g e</kbd>}
      </button>
      {menu.open && (
        <div className="menu" id="panel-menu" role="menu" aria-label={t('panel')} onKeyDown={menu.press}>
          {panel.map(([to, key, Icon, letter]) => (
            <Link key={to} to={to} role="menuitem" tabIndex={-1} preload="render" onClick={() => menu.close(false)}>
              <Icon className="i" stroke={1.6} aria-hidden />
              <span className="grow">{t(key)}</span>
              {keys && <kbd aria-hidden>{letter}</kbd>}
            </Link>
          ))}
        </div>
      )}
    </div>
  )
}

/** Opens on the first line, and gives the focus back to where it was. */
function useMenu(box: RefObject<HTMLDivElement | null>) {
  const go = useNavigate()
  const at = useLocation().pathname
  const [open, setOpen] = useState(false)
  const before = useRef<Element>(null)
  const items = () => [...(box.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])]
  const show = () => {
    before.current = document.activeElement
    setOpen(true)
  }
  const close = (back: boolean) => {
    setOpen(false)
    if (!back) return
    const to = before.current === document.body ? box.current?.querySelector('button') : before.current
    if (to instanceof HTMLElement) to.focus()
  }
  useEffect(() => setOpen(false), [at])
  useLayoutEffect(() => {
    if (open) box.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus()
  }, [open, box])
  useEffect(() => {
    const call = () => flushSync(show) // so that the key that follows is the menu's
    document.addEventListener('portcullis:panel', call)
    return () => document.removeEventListener('portcullis:panel', call)
  }, [])
  const press = (e: KeyboardEvent) => {
    const all = items()
    const on = all.indexOf(document.activeElement as HTMLElement)
    const next = { ArrowDown: on + 1, ArrowUp: on - 1, Home: 0, End: -1 }[e.key]
    const to = panel.find(([, , , letter]) => letter === e.key && keysOn() && !e.ctrlKey && !e.metaKey && !e.altKey)?.[0]
    if (next !== undefined) all.at(next % all.length)?.focus()
    else if (e.key === 'Escape') close(true)
    else if (e.key === 'Tab') return close(true) // and the browser moves on from there
    else if (to) void go({ to })
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  return { open, show, close, press }
}
