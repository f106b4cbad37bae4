import { useState } from 'react'
import { explain } from '../../parts/reasons'
import type { Outcome, Run, Session } from './ending'
import { sessionTexts } from './text'

/** What is chosen, and the button that ends it, after asking once. */
export function EndBar({ chosen, end, clear, busy }: { chosen: Session[]; end: (why: string) => void; clear: () => void; busy: boolean }) {
  const t = sessionTexts.useTexts()
  const [asking, ask] = useState(false)
  const [why, say] = useState('')
  const count = chosen.length
  return (
    <div className="endbar" role="region" aria-label={t('chosen', { count })}>
      <span className="b grow" role="status">{asking ? t('endSure', { count }) : t('chosen', { count })}</span>
      {asking && <input className="in sm why" aria-label={t('whyOptional')} placeholder={t('whyOptional')} maxLength={2000} value={why} onChange={(e) => say(e.target.value)} />}
      <button type="button" className="btn sm" onClick={asking ? () => ask(false) : clear}>{asking ? t('no') : t('clear')}</button>
      <button type="button" className={`btn sm${asking ? ' shut' : ''}`} disabled={busy} onClick={asking ? () => { ask(false); end(why) } : () => ask(true)}>{t('endChosen', { count })}</button>
    </div>
  )
}

/** How far the ending is and what came of it: nothing is said to be over before its connector said so. */
export function Result({ run, again, dismiss }: { run: Run; again: (sessions: Session[]) => void; dismiss: () => void }) {
  const t = sessionTexts.useTexts()
  const of = (take: (o: Outcome) => boolean) => run.outcomes.filter(take)
  const confirmed = of((o) => o.state === 'ENDED').length
  const silent = of((o) => o.state === 'UNREACHABLE').length
  const failed = of((o) => o.refusal !== undefined)
  const waiting = run.outcomes.length - confirmed - silent - failed.length
  return (
    <div className="note result" role="status">
      <div>
        {!run.over && (
          <>
            <p className="b">{t('progress', { done: run.outcomes.length, all: run.all })}</p>
            <div className="bar" role="progressbar" aria-label={t('ending')} aria-valuemin={0} aria-valuemax={run.all} aria-valuenow={run.outcomes.length}>
              <i style={{ width: `${(100 * run.outcomes.length) / run.all}%`, background: 'var(--pc-accent-solid)' }} />
            </div>
          </>
        )}
        {confirmed > 0 && <p>{t('confirmed', { count: confirmed })}</p>}
        {waiting > 0 && <p>{t('waiting', { count: waiting })}</p>}
        {silent > 0 && <p className="row"><span className="hx" aria-hidden />{t('silent', { count: silent })}</p>}
        {failed.length > 0 && (
          <>
            <p className="red b">{t('failed', { count: failed.length })}</p>
            <ul className="red">
              {failed.map((o) => (
                <li key={o.session.id}><bdi>{t('on', { user: o.session.user, device: o.session.device })}</bdi>: {explain(o.refusal)} <span className="reason">{o.refusal?.reason}</span></li>
              ))}
            </ul>
          </>
        )}
      </div>
      {run.over && failed.length > 0 && <button type="button" className="btn sm" onClick={() => again(failed.map((o) => o.session))}>{t('again')}</button>}
      {run.over && <button type="button" className="btn sm" onClick={dismiss}>{t('dismiss')}</button>}
    </div>
  )
}
