import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, ask } from '../../api/client'
import { useNow } from '../../app/clock'
import { countdown, longDateTime, zone } from '../../app/format'
import { useMay, useMe } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { type Grant, GrantStep } from '../../parts/GrantStep'
import { Head } from '../../parts/Head'
import { RefusalNote, Skeleton } from '../../parts/Note'
import './apply.css'
import { saysWhy, stepOf } from './draft'
import type { Step } from './kinds'
import { useEscape, useLeave } from './leave'
import { useOnce } from './once'
import { enter, StepFrame } from './StepFrame'
import { apply } from './text'
import { useGovernance, Why } from './Why'

type Body = { justification: string; governanceCode: string; grant?: string }

const often = 2000

/** Lifts one window: a page like Apply, but with no word to type. */
export function Cancel() {
  const t = apply.useTexts()
  const { id = '' } = useParams({ strict: false })
  const may = useMay('System.EmergencyPanel.Control')
  const termination = id.startsWith('T-')
  const lockdown = id.startsWith('L-')
  const query = useQuery({
    queryKey: ['emergency', id],
    queryFn: () => ask(lockdown ? api.GET('/v1/lockdowns/{id}', { params: { path: { id } } }) : api.GET('/v1/freezes/{id}', { params: { path: { id } } })),
    enabled: !termination,
    refetchInterval: often,
  })
  const open = query.data?.status === 'PENDING' || query.data?.status === 'ONGOING'
  return (
    <div className="apply-page cancel-page">
      <Head title={t('cancelTitle', { id })} crumbs={[t('panel')]} text={termination ? undefined : `${query.data?.status === 'PENDING' ? t('cancelPending') : t(lockdown ? 'cancelLockdownText' : 'cancelFreezeText')}`}>
        <Link to="/emergencies/$id" params={{ id }} className="btn">{t('backTo', { id })}</Link>
      </Head>
      {!may ? <p className="card empty">{t('forbidden')}</p> : termination ? <p className="card empty">{t('overTermination', { id })}</p> : (
        <div className="lay">
          <div>
            {query.isError && !query.data && <RefusalNote error={query.error} again={() => void query.refetch()} />}
            {query.isPending && <div className="card"><Skeleton rows={6} /></div>}
            {query.data && !open && <p className="card empty"><Over of={query.data} /></p>}
            {query.data && <Form key={id} id={id} lockdown={lockdown} shown={open} />}
          </div>
          {query.data && <Facts of={query.data} />}
        </div>
      )}
    </div>
  )
}

/** Why there is nothing to cancel. */
function Over({ of }: { of: Emergency }) {
  const t = apply.useTexts()
  if (of.status === 'CANCELLED') return t('overCancelled', { id: of.id, time: longDateTime(of.cancelTime ?? ''), name: of.cancelledBy })
  return t('overEnded', { id: of.id, time: longDateTime(of.endTime ?? '') })
}

function Facts({ of }: { of: Emergency }) {
  const t = apply.useTexts()
  const now = useNow()
  const start = Date.parse(of.startTime ?? '')
  const end = Date.parse(of.endTime ?? '')
  const rows: [string, React.ReactNode][] = [
    [t('status'), <StatusChip key="chip" of={of} />],
    [t('starts'), `${longDateTime(start)} ${zone(start)}`],
    [t('ends'), `${longDateTime(end)} ${zone(end)}`],
    ...(of.status === 'PENDING' ? [[t('startsIn'), countdown(start - now)] as [string, string]] : []),
    ...(of.status === 'ONGOING' ? [[t('left'), countdown(end - now)] as [string, string]] : []),
    [t('by'), <bdi key="by">{of.createdBy}</bdi>],
    [t('ticket'), of.governanceCode ? <bdi key="code" className="mono">{of.governanceCode}</bdi> : <span key="code" className="dim">{t('none')}</span>],
    [t('reason'), <bdi key="why">{of.justification}</bdi>],
  ]
  return (
    <aside className="card facts" aria-labelledby="facts">
      <header><div className="grow"><h2 id="facts">{t('facts')}</h2></div></header>
      <dl>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </aside>
  )
}

function useSave(id: string, lockdown: boolean, fail: (error: unknown) => void) {
  const go = useNavigate()
  const send = (body: Body & { requestId: string }, signal: AbortSignal) => {
    const how = { params: { path: { id } }, body, signal }
    return ask(lockdown ? api.POST('/v1/lockdowns/{id}:cancel', how) : api.POST('/v1/freezes/{id}:cancel', how))
  }
  return useOnce<Body, Emergency>(`cancel.${id}`, send, () => void go({ to: '/emergencies/$id', params: { id }, replace: true }), fail)
}

/** The steps. While an answer is out the form stays mounted, though the emergency may already be over: it asks on. */
function Form({ id, lockdown, shown }: { id: string; lockdown: boolean; shown: boolean }) {
  const t = apply.useTexts()
  const [grant, setGrant] = useState<Grant>()
  const [why, setWhy] = useState({ justification: '', governance: '' })
  const [refusal, setRefusal] = useState<{ error: unknown; step: Step }>()
  const policy = useGovernance()
  const enrolled = useMe().mfa === 'ACTIVE'
  const once = useSave(id, lockdown, (error) => {
    const step = stepOf(error)
    if (step === 'prove') setGrant(undefined)
    setRefusal({ error, step })
    enter(step)
  })
  const changeGrant = useCallback((g: Grant | undefined) => setGrant(g), [])
  const busy = once.phase !== 'idle'
  useEscape(useLeave(), busy)
  const coded = !policy.required || why.governance.trim() !== ''
  const missing = [grant ? '' : t('lack_code'), saysWhy(why.justification) ? '' : t('lack_why'), coded ? '' : t('lack_governance')].filter(Boolean)
  const about = (step: Step) => (refusal?.step === step ? refusal.error : undefined)
  const save = () => {
    setRefusal(undefined)
    once.act({ justification: why.justification.trim(), governanceCode: why.governance.trim(), grant: grant?.grant })
  }
  if (!shown && !busy) return null
  return (
    <div className="card flow">
      <StepFrame n={1} name="prove" title={t('prove')} fits={grant !== undefined} error={about('prove')}>
        {enrolled ? (
          <fieldset disabled={busy}>
            <GrantStep purpose="cancel" grant={grant} change={changeGrant} done={() => enter('why')} focus={!busy} />
          </fieldset>
        ) : <p className="sm">{t('noMfa')} <Link to="/account">{t('enrol')}</Link></p>}
      </StepFrame>
      <StepFrame n={2} name="why" title={t('why')} fits={saysWhy(why.justification) && coded} error={about('why') ?? about('governance')}>
        <Why
          justification={why.justification} governance={why.governance} disabled={busy} toWord={() => document.getElementById('save')?.focus()}
          set={(change) => { setWhy((w) => ({ ...w, ...change })); setRefusal(undefined) }}
          refused={refusal?.step === 'why' || refusal?.step === 'governance' ? refusal.step : undefined}
        />
      </StepFrame>
      <StepFrame n={3} name="apply" last title={t('save')} error={about('apply')}>
        <Buttons phase={once.phase} missing={missing} save={save} />
      </StepFrame>
    </div>
  )
}

function Buttons({ phase, missing, save }: { phase: 'idle' | 'sending' | 'asking'; missing: string[]; save: () => void }) {
  const t = apply.useTexts()
  const leave = useLeave()
  const busy = phase !== 'idle'
  return (
    <>
      <div className="row g3 arow">
        <button type="button" id="save" className="btn pri big" disabled={busy || missing.length > 0} aria-describedby="lacks" onClick={save}>
          {phase === 'idle' ? t('save') : t(phase === 'sending' ? 'saving' : 'asking')}
        </button>
        <button type="button" className="btn big" disabled={busy} onClick={leave}>{t('keep')}</button>
      </div>
      <div id="lacks" className="hint" role="status">
        {phase === 'asking' ? <b className="b asking">{t('unknownSaved')}</b> : missing.length > 0 && !busy ? <span>{t('lacks', { list: missing.join(', ') })}</span> : <span>{t('saveHint')}</span>}
      </div>
    </>
  )
}
