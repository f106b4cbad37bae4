import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Refusal } from '../../api/client'
import { Drifted } from './Drifted'
import { type Draft, type Lack, stepOfLack } from './draft'
import { type Kind, kinds } from './kinds'
import type { Phase } from './once'
import { enter, StepFrame } from './StepFrame'
import { apply } from './text'

const labels = { terminate: 'applyTerminate', freeze: 'applyFreeze', lock: 'applyLock', lockdown: 'applyLockdown' } as const

/** The last step: the word to type and the one button that closes. */
export function Word({ kind, draft, set, missing, phase, error, act, force, anew, children }: {
  kind: Kind
  draft: Draft
  set: (change: Partial<Draft>) => void
  missing: Lack[]
  phase: Phase
  error: unknown
  act: () => void
  /** Asks a second administrator to let it happen all the same. */
  force: () => void
  anew: () => void
  /** What applying does, in a sentence. */
  children: ReactNode
}) {
  const t = apply.useTexts()
  const { word, Icon, report } = kinds[kind]
  const busy = phase !== 'idle'
  const reused = error instanceof Refusal && error.reason === 'REQUEST_ID_REUSED'
  const last = error instanceof Refusal && error.reason === 'LAST_ADMINISTRATOR'
  const press = () => {
    if (missing.length === 0) act()
    else enter(stepOfLack[missing[0]])
  }
  return (
    <StepFrame n={kind === 'lock' ? 5 : 4} name="apply" last title={<>{t('type')} <span className="mono word">{word}</span> {t('toApply')}</>} error={reused ? undefined : error}>
      <div className="row g3 arow">
        <input
          className="in big mono" aria-label={t('word', { word })} aria-describedby="lacks" value={draft.word} readOnly={busy}
          autoComplete="off" autoCapitalize="characters" autoCorrect="off" spellCheck={false}
          onChange={(e) => set({ word: e.target.value })}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || e.repeat) return
            e.preventDefault()
            press()
          }}
        />
        <button type="button" className="btn shut big" disabled={busy || missing.length > 0} aria-describedby="lacks" onClick={act}>
          <Icon className="i" stroke={1.8} aria-hidden />
          {phase === 'idle' ? t(labels[kind]) : t(phase === 'sending' ? 'applying' : 'asking')}
          {phase === 'idle' && <kbd aria-hidden>Enter</kbd>}
        </button>
      </div>
      <div id="lacks" className="hint" role="status">
        {phase === 'asking' ? <b className="b asking">{t('unknown')}</b> : missing.length > 0 && !busy ? <span>{t('lacks', { list: missing.map((l) => t(kind === 'lock' && l === 'whom' ? 'lack_locked' : `lack_${l}`)).join(', ') })}</span> : <span>{children} {t('once')}</span>}
      </div>
      <Drifted error={error} />
      {last && (
        <div className="note" role="status">
          <div>{t('forceText')}</div>
          <button type="button" className="btn sm" disabled={busy || missing.length > 0} onClick={force}>{t('force')}</button>
        </div>
      )}
      {reused && (
        <div className="note refusal" role="alert">
          <div>{t('reused')} <span className="reason">REQUEST_ID_REUSED</span></div>
          <Link to={report} className="btn sm">{t('seeReport')}</Link>
          <button type="button" className="btn sm" onClick={anew}>{t('anew')}</button>
        </div>
      )}
    </StepFrame>
  )
}
