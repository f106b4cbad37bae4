import IconSearch from '@tabler/icons-react/dist/esm/icons/IconSearch.mjs'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { api, ask } from '../api/client'
import { keysOn, typing } from './keys'
import { useMay } from './me'
import { shell } from './text'

const most = 9

type Place = { to: string; name: string; search?: Record<string, string> }

/** One field that finds a page, or a device by its name. */
export function Find() {
  const t = shell.useTexts()
  const go = useNavigate()
  const [text, setText] = useState('')
  const [on, setOn] = useState(0)
  const field = useField()
  const found = useFound(text.trim())
  const open = text.trim() !== ''
  const leave = () => {
    setText('')
    field.leave()
  }
  const choose = (place: Place | undefined) => {
    if (!place) return
    setText('')
    field.ref.current?.blur()
    void go({ to: place.to, search: place.search ?? {} })
  }
  const press = (e: KeyboardEvent) => {
    if (e.key === 'Escape') return leave()
    if (e.key === 'Enter') return choose(open ? found[on] : undefined)
    if (!open || !found.length || (e.key !== 'ArrowDown' && e.key !== 'ArrowUp')) return
    e.preventDefault()
    setOn((on + (e.key === 'ArrowDown' ? 1 : found.length - 1)) % found.length)
  }
  return (
    <div className="find menubox">
      <IconSearch className="i s" stroke={1.6} aria-hidden />
      <input
        ref={field.ref} role="combobox" aria-label={t('find')} placeholder={t('find')} value={text} autoComplete="off" spellCheck={false}
        aria-autocomplete="list" aria-expanded={open && found.length > 0} aria-controls="found" aria-activedescendant={open && found[on] ? `found-${on}` : undefined}
        onChange={(e) => {
          setText(e.target.value)
          setOn(0)
        }}
        onBlur={() => setText('')}
        onKeyDown={press}
      />
      {keysOn() && <kbd aria-hidden>/</kbd>}
      <div className="menu" hidden={!open}>
        <div id="found" role="listbox" aria-label={t('find')}>
          {open && found.map((p, i) => (
            <div key={`${p.to} ${p.name}`} id={`found-${i}`} role="option" aria-selected={i === on} onMouseDown={(e) => e.preventDefault()} onClick={() => choose(p)}>
              <bdi className="cut">{p.name}</bdi>
            </div>
          ))}
        </div>
        <p className={found.length ? 'sr' : 'dim'} role="status">{open && (found.length ? t('findSome', { count: found.length }) : t('findNone'))}</p>
      </div>
    </div>
  )
}

/** The slash leads to the field, and Esc back to where one was. */
function useField() {
  const ref = useRef<HTMLInputElement>(null)
  const before = useRef<Element>(null)
  useEffect(() => {
    const press = (e: globalThis.KeyboardEvent) => {
      if (e.key !== '/' || typing(e) || !keysOn()) return
      e.preventDefault()
      before.current = document.activeElement
      ref.current?.focus()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
  const leave = () => {
    ref.current?.blur()
    if (before.current instanceof HTMLElement) before.current.focus()
    before.current = null
  }
  return { ref, leave }
}

function useFound(wanted: string): Place[] {
  const { data } = useQuery({
    queryKey: ['find', 'devices', wanted],
    queryFn: () => ask(api.GET('/v1/devices', { params: { query: { pageSize: most, filter: `name=${wanted}*` } } })),
    enabled: /^[\w.@-]+$/.test(wanted), // what can be the beginning of a name
    staleTime: 30_000,
  })
  const places = usePlaces()
  const devices = (data?.devices ?? []).map((d): Place => ({ to: '/devices', name: d.name ?? '', search: { q: d.name ?? '' } }))
  const of = wanted.toLowerCase()
  return [...places.filter((p) => p.name.toLowerCase().includes(of)), ...devices].slice(0, most)
}

function usePlaces(): Place[] {
  const t = shell.useTexts()
  const controls = useMay('System.EmergencyPanel.Control')
  const pages = [
    ['/', 'overview'], ['/sessions', 'sessions'], ['/devices', 'devices'], ['/access-groups', 'groups'], ['/users', 'users'], ['/tokens', 'tokens'],
    ['/reports/terminations', 'terminations'], ['/reports/freezes', 'freezing'], ['/reports/locks', 'locks'], ['/reports/lockdowns', 'lockdown'], ['/audit', 'audit'],
    ['/notifications', 'notifications'], ['/policy', 'policy'], ['/account', 'myAccount'],
  ] as const
  const acts = [['/emergency/terminate', 'terminate'], ['/emergency/freeze', 'freezing'], ['/emergency/lock', 'lock'], ['/emergency/lockdown', 'lockdown']] as const
  return [
    ...pages.map(([to, key]) => ({ to, name: t(key) })),
    ...(controls ? acts.map(([to, key]) => ({ to, name: `${t('panel')}: ${t(key)}` })) : []),
  ]
}
