import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconClock from '@tabler/icons-react/dist/esm/icons/IconClock.mjs'
import { useState } from 'react'
import { number, span } from '../../app/format'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { type Seen, type Sums, useEnforcers } from './data'
import { words } from './text'

const few = 14
const order = { stale: 0, old: 1, behind: 2, fresh: 3 } as const

const kinds = {
  'access-gate': 'gateKind', 'session-broker': 'brokerKind', connector: 'connectorKind', identity: 'identityKind', guard: 'guardKind', driver: 'driverKind',
} as const

/** Who enforces, and how old each one's view is: whoever is behind comes first. */
export function Enforcers() {
  const t = words.useTexts()
  const { list, sums, error, refetch, may } = useEnforcers()
  const [all, setAll] = useState(false)
  const sorted = [...(list ?? [])].sort((a, b) => order[a.stand] - order[b.stand])
  const rows = all ? sorted : sorted.slice(0, few)
  return (
    <section className="card">
      <header>
        <div className="grow"><h2>{t('enforcers')}</h2><span className="sm dim">{t('enforcersText')}</span></div>
        {sums && sums.all > 0 && <Current count={sums.current} of={sums.all} />}
      </header>
      {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
      {!may && <Empty>{t('mayNot')}</Empty>}
      {may && !list && !error && <Skeleton rows={4} height={22} />}
      {list?.length === 0 && <Empty>{t('noEnforcers')}</Empty>}
      {rows.length > 0 && (
        <ul className={`enf${rows.length < 6 ? ' one' : ''}`} style={{ ['--rows' as string]: Math.ceil(rows.length / 2) }}>
          {rows.map((e) => <Row key={e.id} of={e} />)}
        </ul>
      )}
      {sorted.length > few && (
        <p className="inset"><button type="button" className="btn quiet" onClick={() => setAll(!all)}>{all ? t('fewer') : t(sums?.omitted ? 'some' : 'all', { count: sorted.length })}</button></p>
      )}
      {sums && sums.omitted > 0 && <p className="inset sm dim">{more(sums, t)}</p>}
    </section>
  )
}

/** What is said of those that are not told. */
export const more = ({ omitted: count, omittedNot: not }: Sums, t: ReturnType<typeof words.useTexts>) =>
  not ? t('moreNotCurrent', { count, not }) : t('moreCurrent', { count })

function Current({ count, of }: { count: number; of: number }) {
  const t = words.useTexts()
  const every = count === of
  return (
    <span className={`chip ${every ? 'sure' : 'unk'}`}>
      {every ? <IconCheck className="i" stroke={1.8} aria-hidden /> : <IconAlert className="i" stroke={1.8} aria-hidden />}
      {t('current', { count, of })}
    </span>
  )
}

const looks = { fresh: ['grn', IconCheck], behind: ['amb', IconClock], old: ['amb', IconAlert], stale: ['', null] } as const

function Row({ of }: { of: Seen }) {
  const t = words.useTexts()
  const [look, Icon] = looks[of.stand]
  const kind = kinds[of.service as keyof typeof kinds]
  return (
    <li>
      <span className={look}>
        {Icon ? <Icon className="i s" stroke={2} aria-hidden /> : <span className="hx" aria-hidden />}
        <span className="sr">{t(of.stand)}</span>
      </span>
      <span className="m sm cut grow"><bdi>{of.id}</bdi></span>
      <span className="xs dim ek cut">{kind ? t(kind) : of.service}</span>
      <span className="xs dim em cut">{of.stand !== 'fresh' ? <b className="m">{t(of.stand)}</b> : of.mode === 'STRICT' ? t('STRICT') : t('BEST_EFFORT')}</span>
      <span className="xs mid ea" title={of.bound && t('bound', { bound: of.bound })}>{of.age === undefined ? t('never') : age(of.age)}</span>
    </li>
  )
}

const age = (ms: number) => (ms < 10_000 ? `${number(Math.round(ms / 100) / 10)} s` : span(ms))
