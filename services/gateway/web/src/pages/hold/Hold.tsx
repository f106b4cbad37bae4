import IconHold from '@tabler/icons-react/dist/esm/icons/IconHandStop.mjs'
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { useNow } from '../../app/clock'
import { longDateTime, span, zone } from '../../app/format'
import { useMay, useMe } from '../../app/me'
import { CodeInput } from '../../parts/CodeInput'
import { Head } from '../../parts/Head'
import '../apply/apply.css'
import { saysWhy, stepOf } from '../apply/draft'
import type { Step } from '../apply/kinds'
import { useEscape, useLeave } from '../apply/leave'
import { useOnce } from '../apply/once'
import { Radios } from '../apply/Radios'
import { enter, StepFrame } from '../apply/StepFrame'
import { apply } from '../apply/text'
import { useGovernance, Why } from '../apply/Why'
import { Holds, holdsKey } from './Holds'
import { words } from './text'

const word = 'HOLD' // not translated: what one types is the same in every language
const lengths = [15, 30, 60]

/** The last resort (E9): a page like Apply, that needs no journal. */
export function Hold() {
  const t = words.useTexts()
  const a = apply.useTexts()
  const may = useMay('System.EmergencyPanel.Control')
  return (
    <div className="apply-page cancel-page">
      <Head title={t('title')} crumbs={[a('panel')]} text={<>{t('text')} {t('usual')} <Link to="/emergency/lockdown">{t('usualLink')}</Link>.</>} />
      {may ? <div className="lay"><Form /><Holds /></div> : <p className="card empty">{a('forbidden')}</p>}
    </div>
  )
}

type Body = { code: string; duration: string; justification: string; governanceCode: string }

const empty = { code: '', minutes: 30, justification: '', governance: '', word: '' }

/** What there is to say, and what it still lacks. */
function useDraft() {
  const [draft, setDraft] = useState(empty)
  const [refusal, setRefusal] = useState<{ error: unknown; step: Step }>()
  const { required } = useGovernance()
  const set = (change: Partial<typeof empty>) => {
    setDraft((d) => ({ ...d, ...change }))
    setRefusal(undefined)
  }
  const fits = {
    code: draft.code.length === 6, why: saysWhy(draft.justification), governance: !required || draft.governance.trim() !== '', word: draft.word.trim().toUpperCase() === word,
  }
  const lacks = (Object.keys(fits) as (keyof typeof fits)[]).filter((name) => !fits[name])
  return { draft, set, fits, lacks, refuse: (error: unknown) => setRefusal({ error, step: stepOf(error) }), about: (step: Step) => (refusal?.step === step ? refusal.error : undefined) }
}

function Form() {
  const t = words.useTexts()
  const a = apply.useTexts()
  const now = useNow()
  const known = useQueryClient()
  const enrolled = useMe().mfa === 'ACTIVE'
  const { draft, set, fits, lacks, refuse, about } = useDraft()
  const send = (body: Body & { requestId: string }, signal: AbortSignal) => ask(api.POST('/v1/holds', { body, signal }))
  const once = useOnce<Body, Schemas['Hold']>('hold', send, () => {
    set(empty)
    void known.invalidateQueries({ queryKey: holdsKey })
    document.getElementById('holds')?.focus()
  }, (error) => {
    if (stepOf(error) === 'prove') set({ code: '' })
    refuse(error)
    enter(stepOf(error))
  })
  const busy = once.phase !== 'idle'
  useEscape(useLeave(), busy)
  const act = () => {
    if (lacks.length > 0) return enter(lacks[0] === 'code' ? 'prove' : lacks[0] === 'word' ? 'apply' : lacks[0])
    once.act({ code: draft.code, duration: `${draft.minutes * 60}s`, justification: draft.justification.trim(), governanceCode: draft.governance.trim() })
  }
  const end = now + draft.minutes * 60_000
  return (
    <div className="card flow">
      <StepFrame n={1} name="prove" title={a('prove')} fits={fits.code} error={about('prove')}>
        {enrolled ? (
          <CodeInput value={draft.code} change={(code) => set({ code })} done={() => enter('when')} disabled={busy} invalid={about('prove') !== undefined} focus={!busy} />
        ) : <p className="sm">{a('noMfa')} <Link to="/account">{a('enrol')}</Link></p>}
      </StepFrame>
      <StepFrame n={2} name="when" title={t('long')} fits error={about('when')}>
        <Radios
          className="pre" label={t('long')} disabled={busy} digits={lengths.length} options={lengths.map((value) => ({ value, text: span(value * 60_000) }))}
          value={draft.minutes} change={(minutes) => set({ minutes })}
        />
        <p className="hint">{t('until', { time: `${longDateTime(end)} ${zone(end)}` })}</p>
      </StepFrame>
      <StepFrame n={3} name="why" title={a('why')} fits={fits.why && fits.governance} error={about('why') ?? about('governance')}>
        <Why justification={draft.justification} governance={draft.governance} set={set} toWord={() => enter('apply')} disabled={busy} />
      </StepFrame>
      <StepFrame n={4} name="apply" last title={<>{t('type')} <span className="mono word">{word}</span> {t('toHold')}</>} error={about('apply')}>
        <div className="row g3 arow">
          <input
            className="in big mono" aria-label={t('word', { word })} aria-describedby="lacks" value={draft.word} readOnly={busy} autoComplete="off" autoCapitalize="characters" spellCheck={false}
            onChange={(e) => set({ word: e.target.value })}
            onKeyDown={(e) => {
              if (e.key !== 'Enter' || e.repeat) return
              e.preventDefault()
              act()
            }}
          />
          <button type="button" className="btn shut big" disabled={busy || lacks.length > 0} aria-describedby="lacks" onClick={act}>
            <IconHold className="i" stroke={1.8} aria-hidden />
            {busy ? t('acting') : t('act')}
          </button>
        </div>
        <div id="lacks" className="hint" role="status">
          {once.phase === 'asking' ? <b className="b asking">{t('lost')}</b> : lacks.length > 0 && !busy ? <span>{a('lacks', { list: lacks.map((l) => a(`lack_${l}`)).join(', ') })}</span> : <span>{t('hint')}</span>}
        </div>
      </StepFrame>
    </div>
  )
}
