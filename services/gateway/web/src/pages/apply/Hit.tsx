import { useEffect, useRef, useState } from 'react'
import { number } from '../../app/format'
import { apply } from './text'

const bold = 2000

/** A number that stays bold for two seconds after it moved, and says by how much. */
export function Figure({ n, label }: { n: number | undefined; label: string }) {
  const t = apply.useTexts()
  const before = useRef(n)
  const [moved, setMoved] = useState(0)
  useEffect(() => {
    const from = before.current
    before.current = n
    if (from === undefined || n === undefined || from === n) return
    setMoved(n - from)
    const timer = setTimeout(() => setMoved(0), bold)
    return () => clearTimeout(timer)
  }, [n])
  return (
    <div>
      <b className={moved ? 'moved' : ''}>
        {n === undefined ? <i className="hx" /> : number(n)}
        {moved !== 0 && <small>{moved > 0 ? '+' : '−'}{number(Math.abs(moved))}</small>}
      </b>
      <span>{label}{n === undefined && `: ${t('notKnown')}`}</span>
    </div>
  )
}

/** Names behind a number: the first few, the others on demand. count may be more than the names that came. */
export function Names({ names, count, first = 3 }: { names: string[]; count: number; first?: number }) {
  const t = apply.useTexts()
  const rest = names.slice(first)
  const beyond = count - names.length
  if (names.length === 0) return null
  const head = names.slice(0, first).map((name, i) => <span key={name}>{i > 0 && ', '}<bdi>{name}</bdi></span>)
  if (rest.length === 0 && beyond <= 0) return <p className="sm mid nameline">{head}</p>
  return (
    <details className="sm mid nameline">
      <summary>{head} <span className="acc">{t('andMore', { n: number(rest.length + Math.max(0, beyond)) })}</span></summary>
      {rest.map((name, i) => <span key={name}>{i > 0 && ', '}<bdi>{name}</bdi></span>)}
      {beyond > 0 && rest.length > 0 && <> {t('andMore', { n: number(beyond) })}</>}
    </details>
  )
}
