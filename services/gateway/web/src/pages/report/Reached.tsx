import { number } from '../../app/format'
import { ReceiptChip } from '../../parts/Chip'
import type { Report } from './Report'
import { ms, Rows, Section } from './Section'
import { after } from './text'
import type { Zone } from './zone'

const kinds = ['access-gate', 'session-broker', 'connector', 'identity', 'driver', 'guard', 'gateway', 'notifier', 'bastion', 'emergency-control'] as const

function useKind() {
  const t = after.useTexts()
  return (service: string | undefined) => {
    const known = kinds.find((k) => k === service)
    return known ? t(`k-${known}`) : service
  }
}

/** Which doors have said that they hold it, and after how long. */
export function Doors({ of }: { of: Report }) {
  const t = after.useTexts()
  const kind = useKind()
  const r = of.receipts ?? {}
  const share = (confirmed: number | undefined, all: number | undefined) => t('fDoorsOf', { n: number(confirmed ?? 0), all: number(all ?? 0) })
  const services = r.services ?? []
  const total = services.length > 1 ? [{ key: 'all', cells: [<b key="all">{t('allDoors')}</b>, share(r.confirmed, r.enforcers), ms(r.medianMs), ms(r.slowestMs), number(services.reduce((n, s) => n + (s.endedSessions ?? 0), 0)), number(services.reduce((n, s) => n + (s.openSessions ?? 0), 0))] }] : []
  return (
    <Section title={t('doors')} text={t('doorsText')} of={of} part="RECEIPTS" nothing={services.length === 0 && (r.receipts?.length ?? 0) === 0}>
      <Rows
        label={t('doors')} empty={t('noDoors')}
        heads={[['service', t('service')], ['confirmed', t('confirmed')], ['median', t('median'), true], ['slowest', t('slowest'), true], ['ended', t('endedSessions'), true], ['open', t('openSessions'), true]]}
        rows={[...services.map((s) => ({ key: s.service ?? '', cells: [kind(s.service), share(s.confirmed, s.enforcers), ms(s.medianMs), ms(s.slowestMs), number(s.endedSessions ?? 0), number(s.openSessions ?? 0)] })), ...total]}
      />
      {(r.receipts?.length ?? 0) > 0 && (
        <>
          <h3 className="sub">{t('slowestOf')}</h3>
          <Rows
            label={t('slowestOf')} total={r.enforcers} empty={t('noDoors')}
            heads={[['enforcer', t('enforcer')], ['service', t('service')], ['state', t('state')], ['after', t('after'), true], ['ended', t('endedSessions'), true], ['open', t('openSessions'), true], ['hash', t('revision')]]}
            rows={(r.receipts ?? []).map((one) => ({ key: `${one.service}/${one.enforcer}`, cells: [
              <bdi key="e" className="m">{one.enforcer}</bdi>, kind(one.service), <ReceiptChip key="s" state={one.state} />, one.heldMs === undefined ? <span className="dim">{t('notTimed')}</span> : ms(one.heldMs), number(one.endedSessions ?? 0), number(one.openSessions ?? 0), <span key="r" className="mono xs">{one.revision}</span>,
            ] }))}
          />
        </>
      )}
    </Section>
  )
}

/** Whose sessions it ended. */
export function Ended({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const s = of.sessions ?? {}
  const protocols = Object.entries(s.protocols ?? {}).sort(([, a], [, b]) => b - a)
  return (
    <Section title={t('sessions')} of={of} part="SESSIONS" nothing={(s.sessions?.length ?? 0) === 0 && (s.total ?? 0) === 0} text={<>{t('sessionsText')} {protocols.length > 0 && <>{t('byProtocol')} {protocols.map(([name, n]) => `${name} ${number(n)}`).join(', ')}.</>}</>}>
      <Rows
        label={t('sessions')} total={s.total} empty={t('noSessions')}
        heads={[['user', t('user')], ['device', t('device')], ['protocol', t('protocol')], ['connector', t('connector')], ['address', t('addresses')], ['time', t('opened')], ['last', t('ended')]]}
        rows={(s.sessions ?? []).map((one) => ({ key: one.id ?? '', cells: [
          <bdi key="u" className="m">{one.user}</bdi>, <bdi key="d">{one.device}</bdi>, one.protocol, <bdi key="c">{one.connector}</bdi>, <bdi key="a" className="mono">{one.address}</bdi>, zone.at(one.startTime), zone.at(one.endTime),
        ] }))}
      />
    </Section>
  )
}
