import type { ReactNode } from 'react'
import { number } from '../../app/format'
import type { Schemas } from '../../api/client'
import { took } from '../reports/Cells'
import { at } from '../reports/emergency'
import { useAct } from '../audit/acts-text'
import { useWhat } from '../audit/EntryTable'
import { words } from '../audit/text'
import type { Report } from './Report'
import { Rows, Section } from './Section'
import { after } from './text'
import type { Zone } from './zone'

type Entry = Schemas['AuditEntry']

const byClock = (of: Entry) => of.actor === 'portcullis'
const nearby = 24 * 3_600_000

/** What is on record about it, entry by entry. */
export function Timeline({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const audit = words.useTexts()
  const began = at(of.timeline?.[0]?.time)
  const later = (e: Entry) => {
    const ms = at(e.time) - began
    return ms > 0 && ms < nearby ? `+${took(ms)}` : ''
  }
  return (
    <Section title={t('timeline')} text={t('timelineText')} of={of} part="TIMELINE" nothing={(of.timeline?.length ?? 0) === 0}>
      <Rows
        label={t('timeline')} total={of.timelineTotal} empty="–"
        heads={[['time', t('time')], ['what', t('what')], ['who', t('who')], ['reason', t('reason')], ['hash', t('hash')]]}
        rows={(of.timeline ?? []).map((e) => ({ key: e.revision ?? '', cells: [
          <>{zone.at(e.time)}<div className="xs dim">{later(e)}</div></>, <span key="w" className="m">{audit(e.change ?? 'CHANGE_UNSPECIFIED')}</span>, <Who key="who" of={e} />, <Reason key="r" of={e} />, <Hash key="h" of={e} />,
        ] }))}
      />
    </Section>
  )
}

function Who({ of }: { of: Entry }): ReactNode {
  const t = after.useTexts()
  if (byClock(of)) return <span className="dim">{t('clock')}</span>
  return (
    <>
      <bdi className="m">{of.actor}</bdi>
      {of.address && <div className="xs dim">{t('from', { address: of.address })}</div>}
      {(of.signInBy === 'password' || of.signInBy === 'oidc') && <div className="xs dim">{t(of.signInBy)}</div>}
    </>
  )
}

const Reason = ({ of }: { of: Entry }) => <><bdi>{of.justification}</bdi>{of.governanceCode && <div className="xs mono dim"><bdi>{of.governanceCode}</bdi></div>}</>

const Hash = ({ of }: { of: Entry }) => <span className="mono xs" title={of.hash}>{of.revision}<div className="dim">{of.hash?.slice(0, 12)}</div></span>

/** Who acted on it, from where, and how they had signed in. */
export function People({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const audit = words.useTexts()
  const by = (how: string) => (how === 'password' ? t('byPassword') : how === 'oidc' ? t('byOidc') : how)
  return (
    <Section title={t('people')} of={of} nothing={(of.people?.length ?? 0) === 0}>
      <Rows
        label={t('people')} empty={t('nobodyActed')}
        heads={[['name', t('name')], ['did', t('did')], ['addresses', t('addresses')], ['by', t('signedInBy')], ['time', t('first')], ['last', t('last')]]}
        rows={(of.people ?? []).map((p) => ({ key: p.name ?? '', cells: [
          <bdi key="n" className="m">{p.name}</bdi>, (p.changes ?? []).map((c) => audit(c)).join(', '), <bdi key="a" className="mono">{(p.addresses ?? []).join(', ')}</bdi>, (p.signInBy ?? []).map(by).join(', ') || '–', zone.at(p.firstTime), zone.at(p.lastTime),
        ] }))}
      />
    </Section>
  )
}

/** What else administrators did while it was on. */
export function Meanwhile({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const what = useWhat()
  const act = useAct()
  return (
    <Section title={t('meanwhile')} text={t('meanwhileText', { from: zone.at(of.fromTime), until: zone.at(of.untilTime) })} of={of} nothing={(of.meanwhile?.length ?? 0) === 0}>
      <Rows
        label={t('meanwhile')} total={of.meanwhileTotal} empty={t('nothingElse')}
        heads={[['time', t('time')], ['what', t('what')], ['target', t('target')], ['who', t('who')], ['reason', t('reason')], ['hash', t('hash')]]}
        rows={(of.meanwhile ?? []).map((e) => ({ key: e.revision ?? '', cells: [
          zone.at(e.time), <><span className="m">{what(e)}</span>{act(e) && <div className="xs dim">{act(e)}</div>}</>, <bdi key="t">{e.target}</bdi>, <Who key="who" of={e} />, <Reason key="r" of={e} />, <Hash key="h" of={e} />,
        ] }))}
      />
    </Section>
  )
}

export const count = (n: number | string | undefined) => number(Number(n ?? 0))
