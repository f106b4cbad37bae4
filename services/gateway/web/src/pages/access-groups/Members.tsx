import IconX from '@tabler/icons-react/dist/esm/icons/IconX.mjs'
import { memo, useCallback, useDeferredValue, useId, useMemo, useState } from 'react'
import { number } from '../../app/format'
import { Adder } from './Adder'
import { groupTexts } from './text'

const shownAtOnce = 100

/** The members of a group: found within, taken out, and others added. Ten thousand are drawn a hundred at a time. */
export const Members = memo(function Members({ kind, before, value, change, error }: {
  kind: 'users' | 'devices'; before: string[]; value: string[]; change: (make: (before: string[]) => string[]) => void; error?: string
}) {
  const t = groupTexts.useTexts()
  const title = useId()
  const [text, type] = useState('')
  const [limit, show] = useState(shownAtOnce)
  const wanted = useDeferredValue(text.trim().toLowerCase())
  const found = useMemo(() => (wanted ? value.filter((name) => name.toLowerCase().includes(wanted)) : value), [value, wanted])
  const shown = useMemo(() => found.slice(0, limit), [found, limit])
  const { added, dropped } = useMemo(() => difference(before, value), [before, value])
  const add = useCallback((names: string[]) => change((now) => [...new Set([...names, ...now])]), [change])
  const drop = useCallback((name: string) => change((now) => now.filter((n) => n !== name)), [change])
  return (
    <section className="part" aria-labelledby={title}>
      <div className="row" style={{ flexWrap: 'wrap' }}>
        <h3 className="lab grow" id={title} style={{ margin: 0 }}>{t(kind)} <span className="dim">{number(value.length)}</span></h3>
        <span className="sm mid" role="status">{[added > 0 && t('added', { count: added, n: number(added) }), dropped > 0 && t('dropped', { count: dropped, n: number(dropped) })].filter(Boolean).join(', ')}</span>
        {(added > 0 || dropped > 0) && <button type="button" className="btn sm quiet" onClick={() => change(() => before)}>{t('undo')}</button>}
      </div>
      <Adder kind={kind} has={value} add={add} error={error} />
      {value.length > 12 && <input className="in sm" type="search" aria-label={t('within', { n: number(value.length) })} placeholder={t('within', { n: number(value.length) })} value={text} onChange={(e) => { type(e.target.value); show(shownAtOnce) }} />}
      {value.length === 0 ? <p className="sm dim">{t('nobody')}</p> : <Names names={shown} drop={drop} />}
      {value.length > 0 && found.length === 0 && <p className="sm dim">{t('withinNone')}</p>}
      {found.length > limit && (
        <div className="row">
          <button type="button" className="btn sm" onClick={() => show(limit + shownAtOnce)}>{t('more', { n: number(Math.min(shownAtOnce, found.length - limit)) })}</button>
          <span className="sm dim">{t('left', { n: number(found.length - limit) })}</span>
        </div>
      )}
    </section>
  )
})

const Names = memo(function Names({ names, drop }: { names: string[]; drop: (name: string) => void }) {
  const t = groupTexts.useTexts()
  return (
    <ul className="members">
      {names.map((name) => (
        <li key={name} className="member">
          <bdi className="cut" title={name}>{name}</bdi>
          <button type="button" aria-label={t('takeOut', { name })} onClick={() => drop(name)}><IconX className="i s" stroke={1.8} aria-hidden /></button>
        </li>
      ))}
    </ul>
  )
})

export function difference(before: string[], after: string[]) {
  const was = new Set(before)
  const is = new Set(after)
  return { added: after.filter((n) => !was.has(n)).length, dropped: before.filter((n) => !is.has(n)).length }
}
