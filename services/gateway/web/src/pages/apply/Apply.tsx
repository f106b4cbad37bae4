import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { useNow } from '../../app/clock'
import { useNarrow } from '../../app/narrow'
import { useMay, useMe } from '../../app/me'
import { type Grant, GrantStep } from '../../parts/GrantStep'
import { Head } from '../../parts/Head'
import './apply.css'
import { type Body, bodyOf, type Draft, durationFits, lacks, newDraft, noNames, previewOf, saysWhom, saysWhy, selectorFields, startFits, stepOf, targets } from './draft'
import { useHits } from './hits'
import { recall, useKept } from './keep'
import { type Kind, kinds, type Step } from './kinds'
import { useEscape, useLeave } from './leave'
import { useOnce } from './once'
import { NarrowPreview, Preview } from './Preview'
import { enter, StepFrame } from './StepFrame'
import { apply } from './text'
import { Through } from './Through'
import { Option, useGovernance, Why } from './Why'
import { Target, Whom } from './Whom'
import { When } from './When'
import { Word } from './Word'

export const Terminate = () => <Page key="terminate" kind="terminate" />
export const Freeze = () => <Page key="freeze" kind="freeze" />
export const Lock = () => <Page key="lock" kind="lock" />
export const Lockdown = () => <Page key="lockdown" kind="lockdown" />

const titles = { terminate: 'terminateTitle', freeze: 'freezeTitle', lock: 'lockTitle', lockdown: 'lockdownTitle' } as const

function Page({ kind }: { kind: Kind }) {
  const t = apply.useTexts()
  const may = useMay('System.EmergencyPanel.Control')
  return (
    <div className="apply-page">
      <Head title={t(titles[kind])} crumbs={[t('panel')]} text={<About kind={kind} />}>
        {may && <Kinds kind={kind} />}
      </Head>
      {may ? <Form kind={kind} /> : <p className="card empty">{t('forbidden')}</p>}
    </div>
  )
}

function About({ kind }: { kind: Kind }) {
  const t = apply.useTexts()
  if (kind === 'freeze') return t('freezeText')
  if (kind === 'lock') return t('lockText')
  if (kind === 'lockdown') return t('lockdownText')
  return (
    <>
      {t('terminateText')} <Link to="/emergency/freeze">{t('terminateFreeze')}</Link> {t('terminateOr')} <Link to="/emergency/lockdown">{t('terminateLockdown')}</Link>.
    </>
  )
}

function Kinds({ kind }: { kind: Kind }) {
  const t = apply.useTexts()
  return (
    <nav className="seg kinds" aria-label={t('kinds')}>
      {(Object.keys(kinds) as Kind[]).map((k) => {
        const { to, Icon } = kinds[k]
        return (
          <Link key={k} to={to} replace className={k === kind ? 'on' : ''} aria-current={k === kind ? 'page' : undefined}>
            <Icon className="i s" stroke={1.6} aria-hidden />
            {t(k)}
          </Link>
        )
      })}
    </nav>
  )
}

/** A link may bring names along: /emergency/terminate?users=alice,bruno. */
function useFirstDraft(kind: Kind): () => Draft {
  const search = useSearch({ strict: false }) as Record<string, unknown>
  return () => {
    const names = noNames()
    for (const field of selectorFields) names[field] = String(search[field] ?? '').split(',').filter(Boolean)
    const some = selectorFields.some((f) => names[f].length > 0)
    const target = targets.find((f) => names[f].length > 0) ?? 'users'
    return { ...newDraft(), names, target, all: !some, ...recall<Draft>(kind), word: '' }
  }
}

/** Applies one emergency, once, and goes to it. */
function useApply(kind: Kind, fail: (error: unknown) => void) {
  const go = useNavigate()
  const send = (body: Body & { requestId: string }, signal: AbortSignal) => {
    if (kind === 'terminate') return ask(api.POST('/v1/terminations', { body, signal }))
    if (kind === 'lock') return ask(api.POST('/v1/locks', { body, signal }))
    return ask(kind === 'freeze' ? api.POST('/v1/freezes', { body, signal }) : api.POST('/v1/lockdowns', { body, signal }))
  }
  return useOnce<Body, Awaited<ReturnType<typeof send>>>(kind, send, (e) => void go({ to: '/emergencies/$id', params: { id: e.id ?? '' }, replace: true }), fail)
}

function Form({ kind }: { kind: Kind }) {
  const [draft, setDraft] = useState(useFirstDraft(kind))
  useKept(kind, draft)
  const [grant, setGrant] = useState<Grant>()
  const [refusal, setRefusal] = useState<{ error: unknown; step: Step }>()
  const now = useNow()
  const narrow = useNarrow()
  const governance = useGovernance()
  const request = previewOf(draft, kind, now)
  const query = useHits(request)
  const go = useNavigate()
  const once = useApply(kind, (error) => {
    // It is on record and waits for somebody else, where the overview shows it.
    if (error instanceof Refusal && error.reason === 'APPROVAL_REQUIRED') return void go({ to: '/', replace: true })
    const step = stepOf(error)
    if (step === 'prove') setGrant(undefined)
    setRefusal({ error, step })
    void query.refetch() // what it hits may have moved
    enter(step)
  })
  const set = useCallback((change: Partial<Draft>) => {
    setDraft((d) => ({ ...d, ...change }))
    setRefusal(undefined)
  }, [])
  const changeGrant = useCallback((g: Grant | undefined) => {
    setGrant(g)
    if (g) setRefusal(undefined)
  }, [])
  const busy = once.phase !== 'idle'
  useEscape(useLeave(), busy)
  const missing = lacks(draft, kind, now, grant !== undefined, governance.required)
  const act = (force?: true) => {
    setRefusal(undefined)
    // What is shown of the request before is no preview of this one; and a preview that can't be had is in nobody's way.
    once.act({ ...bodyOf(draft, kind, query.isPlaceholderData ? undefined : query.data?.digest), ...(force && { force }), grant: grant?.grant })
  }
  const about = (step: Step) => (refusal?.step === step ? refusal.error : undefined)
  const preview = { kind, draft, query, ready: request !== undefined }
  return (
    <>
      <div className="lay">
        {narrow && <NarrowPreview {...preview} />}
        <div className="card flow">
          <Prove kind={kind} grant={grant} change={changeGrant} error={about('prove')} busy={busy} />
          <Where kind={kind} draft={draft} set={set} busy={busy} error={{ when: about('when'), whom: about('whom') }} now={now} sessions={query.data?.sessions} />
          <StepFrame n={kind === 'lock' ? 4 : 3} name="why" title={<WhyTitle />} fits={saysWhy(draft.justification) && !missing.includes('governance')} error={about('why') ?? about('governance') ?? about('through')}>
            <Why
              justification={draft.justification} governance={draft.governance} set={set} toWord={() => enter('apply')} disabled={busy}
              refused={refusal?.step === 'why' || refusal?.step === 'governance' ? refusal.step : undefined}
              below={kind === 'lockdown' && <Through draft={draft} set={set} disabled={busy} />}
            >
              <Options kind={kind} draft={draft} set={set} busy={busy} />
            </Why>
          </StepFrame>
          <Word
            kind={kind} draft={draft} set={set} missing={missing} phase={once.phase} error={about('apply')} act={() => act()} force={() => act(true)}
            anew={() => { once.renew(); setRefusal(undefined) }}
          >
            <Effect kind={kind} draft={draft} hits={query.data} />
          </Word>
        </div>
        {!narrow && <Preview {...preview} />}
      </div>
      <KeyHints kind={kind} />
    </>
  )
}

function WhyTitle() {
  return <>{apply.useTexts()('why')}</>
}

function Prove({ kind, grant, change, error, busy }: { kind: Kind; grant: Grant | undefined; change: (g: Grant | undefined) => void; error: unknown; busy: boolean }) {
  const t = apply.useTexts()
  const enrolled = useMe().mfa === 'ACTIVE'
  return (
    <StepFrame n={1} name="prove" title={t('prove')} fits={grant !== undefined} error={error}>
      {enrolled ? (
        <fieldset disabled={busy}>
          <GrantStep purpose={kind} grant={grant} change={change} done={() => enter(kind === 'terminate' || kind === 'lock' ? 'whom' : 'when')} focus={!busy} />
        </fieldset>
      ) : (
        <p className="sm">{t('noMfa')} <Link to="/account">{t('enrol')}</Link></p>
      )}
    </StepFrame>
  )
}

function Where({ kind, draft, set, busy, error, now, sessions }: {
  kind: Kind; draft: Draft; set: (change: Partial<Draft>) => void; busy: boolean; error: { when: unknown; whom: unknown }; now: number; sessions: number | undefined
}) {
  const t = apply.useTexts()
  if (kind === 'terminate') {
    return (
      <StepFrame n={2} name="whom" title={t('whom')} fits={saysWhom(draft, kind)} error={error.whom ?? error.when}>
        <Whom draft={draft} set={set} disabled={busy} sessions={sessions} />
      </StepFrame>
    )
  }
  const lock = kind === 'lock'
  return (
    <>
      {lock && (
        <StepFrame n={2} name="whom" title={t('locks')} fits={saysWhom(draft, kind)} error={error.whom}>
          <Target draft={draft} set={set} disabled={busy} />
        </StepFrame>
      )}
      <StepFrame n={lock ? 3 : 2} name="when" title={t('when')} fits={durationFits(draft) && startFits(draft, now)} error={lock ? error.when : (error.when ?? error.whom)}>
        <When draft={draft} set={set} disabled={busy} endless={lock} />
      </StepFrame>
    </>
  )
}

function Options({ kind, draft, set, busy }: { kind: Kind; draft: Draft; set: (change: Partial<Draft>) => void; busy: boolean }) {
  const t = apply.useTexts()
  return (
    <>
      <Option on={draft.open} set={(open) => set({ open })} disabled={busy}>{t(kind === 'freeze' ? 'openFrozen' : 'openIt')}</Option>
      {kind === 'lockdown' && <Option on={draft.revokeTokens} set={(revokeTokens) => set({ revokeTokens })} disabled={busy}>{t('revoke')} <span className="dim">{t('revokeHint')}</span></Option>}
      {kind === 'freeze' && <Option on={draft.endLiveSessions} set={(endLiveSessions) => set({ endLiveSessions })} disabled={busy}>{t('endLive')}</Option>}
    </>
  )
}

/** What applying does, in a line beside the button. */
function Effect({ kind, draft, hits }: { kind: Kind; draft: Draft; hits: ReturnType<typeof useHits>['data'] }) {
  const t = apply.useTexts()
  const sessions = hits && !hits.unreachableServices?.includes('session-broker') ? t('endsSessions', { count: hits.sessions ?? 0 }) : ''
  if (kind === 'terminate') return <>{sessions} {t('newMay')}</>
  if (kind === 'freeze') return <>{hits && t('closes', { count: hits.devices ?? 0 })} {draft.endLiveSessions && sessions}</>
  if (kind === 'lock') return <>{sessions} {draft.target === 'users' && hits && t('signsOut', { count: hits.signIns ?? 0 })}</>
  return <>{sessions} {hits && t('signsOut', { count: hits.signIns ?? 0 })} {t(draft.later ? 'noneStays' : 'onlyThis')}</>
}

function KeyHints({ kind }: { kind: Kind }) {
  const t = apply.useTexts()
  return (
    <div className="foot xs dim" aria-hidden>
      {kind !== 'terminate' && <span><kbd>1</kbd> {t('keyTo')} <kbd>6</kbd> {t('keyDuration')}</span>}
      <span><kbd>Tab</kbd> {t('keyNext')}</span>
      <span><kbd>Ctrl Enter</kbd> {t('keyWord')}</span>
      <span><kbd>Esc</kbd> {t('keyLeave')}</span>
    </div>
  )
}
