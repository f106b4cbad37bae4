import { Link, useParams } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useNow } from '../../app/clock'
import { countdown, longDateTime, zone } from '../../app/format'
import { useMay, useMe } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { GrantStep } from '../../parts/GrantStep'
import { Head } from '../../parts/Head'
import { RefusalNote, Skeleton } from '../../parts/Note'
import './apply.css'
import { length, saysWhy } from './draft'
import { useLeave } from './leave'
import { type useLift, useWindow, type Verb } from './lift'
import { enter, StepFrame } from './StepFrame'
import { apply } from './text'
import { useGovernance, Why } from './Why'

type Lift = ReturnType<typeof useLift>

/** The page around the steps: what it is about, and why there may be nothing to do. children make the form. */
export function LiftPage({ verb, text, children }: { verb: Verb; text: (of: Emergency | undefined, id: string) => string; children: (id: string, of: Emergency, shown: boolean) => ReactNode }) {
  const t = apply.useTexts()
  const { id = '' } = useParams({ strict: false })
  const may = useMay('System.EmergencyPanel.Control')
  const { query, termination, open } = useWindow(id)
  return (
    <div className="apply-page cancel-page">
      <Head title={t(`${verb}Title`, { id })} crumbs={[t('panel')]} text={termination ? undefined : text(query.data, id)}>
        <Link to="/emergencies/$id" params={{ id }} className="btn">{t('backTo', { id })}</Link>
      </Head>
      {!may ? <p className="card empty">{t('forbidden')}</p> : termination ? <p className="card empty">{t('overTermination', { id })} {t(`${verb}None`)}</p> : (
        <div className="lay">
          <div>
            {query.isError && !query.data && <RefusalNote error={query.error} again={() => void query.refetch()} />}
            {query.isPending && <div className="card"><Skeleton rows={6} /></div>}
            {query.data && !open && <p className="card empty"><Over of={query.data} /> {t(`${verb}None`)}</p>}
            {query.data && children(id, query.data, open)}
          </div>
          {query.data && <Facts of={query.data} title={t(`${verb}Facts`)} />}
        </div>
      )}
    </div>
  )
}

/** Why there is nothing to do any more. */
function Over({ of }: { of: Emergency }) {
  const t = apply.useTexts()
  if (of.status === 'CANCELLED') return t('overCancelled', { id: of.id, time: longDateTime(of.cancelTime ?? ''), name: of.cancelledBy })
  return t('overEnded', { id: of.id, time: longDateTime(of.endTime ?? '') })
}

function Facts({ of, title }: { of: Emergency; title: string }) {
  const t = apply.useTexts()
  const now = useNow()
  const start = Date.parse(of.startTime ?? '')
  const end = Date.parse(of.endTime ?? '')
  const rows: [string, ReactNode][] = [
    [t('status'), <StatusChip key="chip" of={of} />],
    [t('starts'), `${longDateTime(start)} ${zone(start)}`],
    [t('ends'), of.endTime ? `${longDateTime(end)} ${zone(end)}` : t('onceLifted')],
    ...(of.status === 'PENDING' ? [[t('startsIn'), countdown(start - now)] as [string, string]] : []),
    ...(of.status === 'ONGOING' && of.endTime ? [[t('left'), countdown(end - now)] as [string, string]] : []),
    [t('by'), <bdi key="by">{of.createdBy}</bdi>],
    [t('ticket'), of.governanceCode ? <bdi key="code" className="mono">{of.governanceCode}</bdi> : <span key="code" className="dim">{t('none')}</span>],
    [t('reason'), <bdi key="why">{of.justification}</bdi>],
  ]
  return (
    <aside className="card facts" aria-labelledby="facts">
      <header><div className="grow"><h2 id="facts">{title}</h2></div></header>
      <dl>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </aside>
  )
}

export function ProveStep({ verb, lift, next }: { verb: Verb; lift: Lift; next: 'when' | 'why' }) {
  const t = apply.useTexts()
  const enrolled = useMe().mfa === 'ACTIVE'
  return (
    <StepFrame n={1} name="prove" title={t('prove')} fits={lift.grant !== undefined} error={lift.about('prove')}>
      {enrolled ? (
        <fieldset disabled={lift.busy}>
          <GrantStep purpose={verb} grant={lift.grant} change={lift.changeGrant} done={() => enter(next)} focus={!lift.busy} />
        </fieldset>
      ) : <p className="sm">{t('noMfa')} <Link to="/account">{t('enrol')}</Link></p>}
    </StepFrame>
  )
}

export function WhyStep({ n, lift }: { n: number; lift: Lift }) {
  const t = apply.useTexts()
  const { why, refused } = lift
  const fits = useReasons(lift)
  return (
    <StepFrame n={n} name="why" title={t('why')} fits={fits.why && fits.governance} error={lift.about('why') ?? lift.about('governance')}>
      <Why
        justification={why.justification} governance={why.governance} set={lift.setWhy} disabled={lift.busy} toWord={() => document.getElementById('save')?.focus()}
        refused={refused === 'why' || refused === 'governance' ? refused : undefined}
      />
    </StepFrame>
  )
}

/** Whether the reasons fit, as far as one can tell here. */
function useReasons({ why }: Lift) {
  const policy = useGovernance()
  return { why: saysWhy(why.justification), governance: !policy.required || why.governance.trim() !== '' }
}

export function SaveStep({ n, verb, lift, lacks, save }: { n: number; verb: Verb; lift: Lift; lacks?: string; save: () => void }) {
  const t = apply.useTexts()
  const leave = useLeave()
  const fits = useReasons(lift)
  const missing = [lift.grant ? '' : t('lack_code'), lacks ?? '', fits.why ? '' : t(length(lift.why.justification) > 0 ? 'lack_shorter' : 'lack_why'), fits.governance ? '' : t('lack_governance')].filter(Boolean)
  return (
    <StepFrame n={n} name="apply" last title={t('save')} error={lift.about('apply')}>
      <div className="row g3 arow">
        <button type="button" id="save" className="btn pri big" disabled={lift.busy || missing.length > 0} aria-describedby="lacks" onClick={save}>
          {lift.phase === 'idle' ? t('save') : t(lift.phase === 'sending' ? 'saving' : 'asking')}
        </button>
        <button type="button" className="btn big" disabled={lift.busy} onClick={leave}>{t(`${verb}Keep`)}</button>
      </div>
      <div id="lacks" className="hint" role="status">
        {lift.phase === 'asking' ? <b className="b asking">{t('unknownSaved')}</b> : missing.length > 0 && !lift.busy ? <span>{t('lacks', { list: missing.join(', ') })}</span> : <span>{t(`${verb}Hint`)}</span>}
      </div>
    </StepFrame>
  )
}
