import IconSearch from '@tabler/icons-react/dist/esm/icons/IconSearch.mjs'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Combobox, useCombobox } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
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
  const field = useRef<HTMLInputElement>(null)
  const [text, setText] = useState('')
  const box = useCombobox({ onDropdownClose: () => box.resetSelectedOption() })
  const controls = useMay('System.EmergencyPanel.Control')
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.key !== '/' || typing(e) || !keysOn()) return
      e.preventDefault()
      field.current?.focus()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
  const wanted = text.trim().toLowerCase()
  const { data } = useQuery({
    queryKey: ['find', 'devices', text.trim()],
    queryFn: () => ask(api.GET('/v1/devices', { params: { query: { pageSize: most, filter: `name=${text.trim()}*` } } })),
    enabled: /^[\w.@-]+$/.test(text.trim()), // what can be the beginning of a name
    staleTime: 30_000,
  })
  const places: Place[] = [
    { to: '/', name: t('overview') }, { to: '/sessions', name: t('sessions') }, { to: '/devices', name: t('devices') }, { to: '/access-groups', name: t('groups') },
    { to: '/users', name: t('users') }, { to: '/tokens', name: t('tokens') }, { to: '/reports/terminations', name: t('terminations') },
    { to: '/reports/freezes', name: t('freezing') }, { to: '/reports/lockdowns', name: t('lockdown') }, { to: '/audit', name: t('audit') },
    { to: '/notifications', name: t('notifications') }, { to: '/policy', name: t('policy') }, { to: '/account', name: t('myAccount') },
  ]
  if (controls) {
    for (const [to, key] of [['/emergency/terminate', 'terminate'], ['/emergency/freeze', 'freezing'], ['/emergency/lockdown', 'lockdown']] as const) {
      places.push({ to, name: `${t('panel')}: ${t(key)}` })
    }
  }
  const devices: Place[] = (data?.devices ?? []).map((d) => ({ to: '/devices', name: d.name ?? '', search: { q: d.name ?? '' } }))
  const found = [...places.filter((p) => p.name.toLowerCase().includes(wanted)), ...devices].slice(0, most)
  return (
    <Combobox
      store={box}
      onOptionSubmit={(value) => {
        const place = found[Number(value)]
        setText('')
        box.closeDropdown()
        field.current?.blur()
        void go({ to: place.to, search: place.search ?? {} })
      }}
    >
      <Combobox.Target>
        <div className="find">
          <IconSearch className="i s" stroke={1.6} aria-hidden />
          <input
            ref={field}
            aria-label={t('find')}
            placeholder={t('find')}
            value={text}
            onChange={(e) => {
              setText(e.target.value)
              box.openDropdown()
              box.selectFirstOption()
            }}
            onBlur={() => box.closeDropdown()}
            onKeyDown={(e) => {
              if (e.key !== 'Escape') return
              setText('')
              field.current?.blur()
            }}
          />
          <kbd aria-hidden>/</kbd>
        </div>
      </Combobox.Target>
      <Combobox.Dropdown hidden={wanted === ''}>
        <Combobox.Options aria-label={t('find')}>
          {found.length === 0 && <Combobox.Empty>{t('findNone')}</Combobox.Empty>}
          {found.map((p, i) => (
            <Combobox.Option key={`${p.to} ${p.name}`} value={String(i)}><bdi>{p.name}</bdi></Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  )
}
