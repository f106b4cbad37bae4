import type { Report } from './Report'
import { count } from './Record'
import { Rows, Section } from './Section'
import { after } from './text'
import type { Zone } from './zone'

/** Whom it kept out, and who failed at a code meanwhile. */
export function Refused({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const f = of.refusals ?? {}
  const because = (by: boolean | undefined) => t(by ? 'byIt' : 'meanwhileIt')
  return (
    <Section title={t('refused')} text={t('refusedText')} of={of} part="REFUSALS" nothing={(f.rows?.length ?? 0) === 0 && (f.reasons?.length ?? 0) === 0}>
      {(f.reasons?.length ?? 0) > 0 && (
        <ul className="tally">
          {f.reasons?.map((r) => <li key={`${r.door} ${r.reason} ${r.byEmergency}`}><b>{count(r.count)}</b> {t(r.door ?? 'DOOR_UNSPECIFIED')}, <span className="mono xs">{r.reason}</span> <span className="dim">{because(r.byEmergency)}</span></li>)}
        </ul>
      )}
      <Rows
        label={t('refused')} total={f.rowsTotal} empty={t('noRefusals')}
        heads={[['door', t('door')], ['why', t('refusedFor')], ['who', t('who')], ['address', t('addresses')], ['device', t('device')], ['times', t('times'), true], ['time', t('first')], ['last', t('last')]]}
        rows={(f.rows ?? []).map((r, i) => ({ key: `${i}`, cells: [
          t(r.door ?? 'DOOR_UNSPECIFIED'), <span key="w" className="mono xs">{r.reason}</span>,
          r.crowd ? <span className="dim">{t('crowd')}</span> : r.token ? <bdi key="t">{t('token', { name: r.tokenName || r.token })}</bdi> : r.user ? <bdi key="u" className="m">{r.user}</bdi> : <span className="dim">{t('someone')}</span>,
          <bdi key="a" className="mono">{r.address}</bdi>, <bdi key="d">{r.device}</bdi>, count(r.count), zone.at(r.firstTime), zone.at(r.lastTime),
        ] }))}
      />
    </Section>
  )
}

/** Who was told, and who could not be. */
export function Messages({ of }: { of: Report }) {
  const t = after.useTexts()
  const m = of.messages ?? {}
  return (
    <Section title={t('messages')} text={t('messagesText')} of={of} part="MESSAGES" nothing={(m.states?.length ?? 0) === 0 && (m.failed?.length ?? 0) === 0}>
      <Rows
        label={t('messages')} empty={t('noMessages')}
        heads={[['method', t('method')], ['state', t('standing')], ['count', t('count'), true]]}
        rows={(m.states ?? []).map((s) => ({ key: `${s.method} ${s.state}`, cells: [s.method, t(s.state ?? 'STATE_UNSPECIFIED'), count(s.count)] }))}
      />
      {(m.failed?.length ?? 0) > 0 && (
        <>
          <h3 className="sub">{t('failedOnes')}</h3>
          <Rows
            label={t('failedOnes')} total={m.failedTotal} empty="–"
            heads={[['method', t('method')], ['to', t('to')], ['state', t('standing')], ['error', t('error')]]}
            rows={(m.failed ?? []).map((d) => ({ key: d.id ?? '', cells: [d.method, <bdi key="r">{d.recipient || d.contact}</bdi>, t(d.state ?? 'STATE_UNSPECIFIED'), <bdi key="e">{d.error}</bdi>] }))}
          />
        </>
      )}
    </Section>
  )
}

/** What shows later that the record is the one that it was. */
export function Proof({ of }: { of: Report }) {
  const t = after.useTexts()
  const c = of.checkpoint
  return (
    <Section title={t('proof')} text={t('proofText')} of={of} part="CHECKPOINT" nothing={!c}>
      {c && (
        <div className="proof">
          <dl className="facts">
            <div><dt>{t('revision')}</dt><dd className="mono">{c.revision}</dd></div>
            <div><dt>{t('hash')}</dt><dd className="mono">{c.hash}</dd></div>
          </dl>
          <pre className="mono xs" aria-label={t('note')}>{c.note}</pre>
          <p className="sm mid">{t('verify')}</p>
        </div>
      )}
    </Section>
  )
}
