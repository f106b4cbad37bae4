import IconX from '@tabler/icons-react/dist/esm/icons/IconX.mjs'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useMay } from './me'
import { shell } from './text'

const kept = 'portcullis.keys'

export const keysOn = () => localStorage.getItem(kept) !== 'off'
export const setKeys = (on: boolean) => localStorage.setItem(kept, on ? 'on' : 'off')

const places: Record<string, string> = { o: '/', s: '/sessions', d: '/devices', r: '/reports/freezes', a: '/audit' }
const panels: Record<string, string> = { t: '/emergency/terminate', f: '/emergency/freeze', k: '/emergency/lock', l: '/emergency/lockdown' }
const pause = 1500

/** Whether a key is meant for a field, a dialog, a menu or the browser, and not for the page. */
export function typing(e: KeyboardEvent): boolean {
  const at = e.target as HTMLElement
  return e.ctrlKey || e.metaKey || e.altKey || at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || document.querySelector('[role="dialog"]') !== null
}

/** Single keys that go places, outside of fields. */
export function Keys() {
  const go = useNavigate()
  const may = useMay('System.EmergencyPanel.Control')
  const [help, setHelp] = useState(false)
  useEffect(() => {
    let before = ''
    let timer: ReturnType<typeof setTimeout>
    const press = (e: KeyboardEvent) => {
      if (!keysOn() || typing(e)) return
      const sequence = `${before}${e.key}`
      before = ''
      clearTimeout(timer)
      const to = sequence.startsWith('ge') ? panels[sequence[2]] : sequence.startsWith('g') ? places[sequence[1]] : undefined
      if (to) return void go({ to })
      if (e.key === '?') return setHelp(true)
      if (sequence === 'ge' && may) document.dispatchEvent(new Event('portcullis:panel'))
      if (sequence === 'g' || (sequence === 'ge' && may)) {
        before = sequence
        timer = setTimeout(() => { before = '' }, pause)
      }
    }
    document.addEventListener('keydown', press)
    return () => {
      clearTimeout(timer)
      document.removeEventListener('keydown', press)
    }
  }, [go, may])
  return help && <Help may={may} close={() => setHelp(false)} />
}

/** The list of the keys. The browser's own dialog keeps the focus in it, and gives it back. */
function Help({ may, close }: { may: boolean; close: () => void }) {
  const t = shell.useTexts()
  const dialog = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  const rows = [
    ...(may ? [['g e', t('keyPanel')]] : []), ['g o', t('keyOverview')], ['g s', t('keySessions')], ['g d', t('keyDevices')], ['g r', t('keyReports')],
    ['g a', t('keyAudit')], ['/', t('keyFind')], ['?', t('keyHelp')], ['Esc', t('keyEscape')],
  ]
  return (
    <dialog ref={dialog} className="help" role="dialog" aria-labelledby="keys-title" onClose={() => dialog.current?.open || close()} onClick={(e) => e.target === dialog.current && close()}>
      <div>
        <header className="row">
          <h2 id="keys-title" className="grow">{t('keys')}</h2>
          <button type="button" className="icb" aria-label={t('keysClose')} onClick={close}><IconX className="i" stroke={1.6} aria-hidden /></button>
        </header>
        <dl className="keys">
          {rows.map(([key, what]) => (
            <div key={key}>
              <dt>{key.split(' ').map((k) => <kbd key={k}>{k}</kbd>)}</dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <p className="xs dim">{t('keysOff')}</p>
      </div>
    </dialog>
  )
}
