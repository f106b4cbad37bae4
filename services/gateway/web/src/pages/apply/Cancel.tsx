import type { Emergency } from '../../app/posture'
import { useEscape, useLeave } from './leave'
import { isLock, isLockdown, useLift } from './lift'
import { LiftPage, ProveStep, SaveStep, WhyStep } from './LiftPage'
import { apply } from './text'

/** Lifts one window: a page like Apply, but with no word to type. */
export function Cancel() {
  const t = apply.useTexts()
  const text = (of: Emergency | undefined, id: string) => (of?.status === 'PENDING' ? t('cancelPending') : t(isLock(id) ? 'cancelLockText' : isLockdown(id) ? 'cancelLockdownText' : 'cancelFreezeText'))
  return <LiftPage verb="cancel" text={text}>{(id, _, shown) => <Form key={id} id={id} shown={shown} />}</LiftPage>
}

/** The steps. While an answer is out the form stays mounted, though the emergency may already be over: it asks on. */
function Form({ id, shown }: { id: string; shown: boolean }) {
  const lift = useLift('cancel', id)
  useEscape(useLeave(), lift.busy)
  if (!shown && !lift.busy) return null
  return (
    <div className="card flow">
      <ProveStep verb="cancel" lift={lift} next="why" />
      <WhyStep n={2} lift={lift} />
      <SaveStep n={3} verb="cancel" lift={lift} save={() => lift.save()} />
    </div>
  )
}
