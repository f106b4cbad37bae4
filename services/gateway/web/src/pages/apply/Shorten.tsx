import IconCalendar from '@tabler/icons-react/dist/esm/icons/IconCalendar.mjs'
import { useState } from 'react'
import { serverNow, useNow } from '../../app/clock'
import { longDateTime, span, utc, zone } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { at } from '../reports/emergency'
import { type End, endFits, endOf, firstEnd, from, presetsOf } from './ends'
import { useEscape, useLeave } from './leave'
import { isLockdown, useLift } from './lift'
import { LiftPage, ProveStep, SaveStep, WhyStep } from './LiftPage'
import { local } from './moment'
import { Radios } from './Radios'
import { StepFrame } from './StepFrame'
import { apply } from './text'

/** Moves the end of one window closer. There is no making it longer: what is to stay shut longer is applied anew. */
export function Shorten() {
  const t = apply.useTexts()
  const text = (_: Emergency | undefined, id: string) => t(isLockdown(id) ? 'shortenLockdownText' : 'shortenFreezeText')
  return <LiftPage verb="shorten" text={text}>{(id, of, shown) => <Form key={id} id={id} of={of} shown={shown} />}</LiftPage>
}

function Form({ id, of, shown }: { id: string; of: Emergency; shown: boolean }) {
  const t = apply.useTexts()
  const now = useNow()
  const lift = useLift('shorten', id)
  const [end, setEnd] = useState(() => firstEnd(of, serverNow()))
  useEscape(useLeave(), lift.busy)
  if (!shown && !lift.busy) return null
  const fits = endFits(end, of, now)
  const change = (to: End) => {
    setEnd(to)
    lift.forget()
  }
  return (
    <div className="card flow">
      <ProveStep verb="shorten" lift={lift} next="when" />
      <StepFrame n={2} name="when" title={t('newEnd')} fits={fits} error={lift.about('when')}>
        <NewEnd of={of} end={end} set={change} now={now} fits={fits} disabled={lift.busy} />
      </StepFrame>
      <WhyStep n={3} lift={lift} />
      <SaveStep n={4} verb="shorten" lift={lift} lacks={fits ? '' : t('lack_end')} save={() => lift.save({ endTime: new Date(endOf(end, of, serverNow())).toISOString() })} />
    </div>
  )
}

function NewEnd({ of, end, set, now, fits, disabled }: { of: Emergency; end: End; set: (end: End) => void; now: number; fits: boolean; disabled: boolean }) {
  const t = apply.useTexts()
  const pending = of.status === 'PENDING'
  const presets = [...new Set([...presetsOf(of, now), ...(end.preset === undefined ? [] : [end.preset])])].sort((a, b) => a - b)
  const options = [
    ...presets.map((minutes) => ({ value: minutes, text: span(minutes * 60_000) })),
    { value: 0, text: <><IconCalendar className="i s" stroke={1.6} aria-hidden />{t('exact')}</> },
  ]
  const half = from(of, now) + (at(of.endTime) - from(of, now)) / 2
  const choose = (preset: number) => set(preset ? { ...end, preset } : { preset: undefined, exact: end.exact || local(half, true) })
  const label = t(pending ? 'endsAfterStart' : 'endsIn')
  return (
    <>
      <div className="when">
        <div className="grow">
          <span className="lab" aria-hidden>{label}</span>
          <Radios className="pre" label={label} disabled={disabled} options={options} value={end.preset ?? 0} change={choose} digits={presets.length} />
        </div>
        {end.preset === undefined && (
          <div>
            <label className="f" htmlFor="end">{t('endsAt')}</label>
            <input
              id="end" className="in seconds" type="datetime-local" step={1} value={end.exact} disabled={disabled} min={local(from(of, now), true)} max={local(at(of.endTime), true)}
              aria-invalid={!fits} aria-describedby="until" onChange={(e) => set({ preset: undefined, exact: e.target.value })}
            />
          </div>
        )}
      </div>
      <Until of={of} end={end} now={now} fits={fits} />
    </>
  )
}

function Until({ of, end, now, fits }: { of: Emergency; end: End; now: number; fits: boolean }) {
  const t = apply.useTexts()
  const before = at(of.endTime)
  if (!fits) return <p className="until red" id="until">{t('endOff', { time: longDateTime(before) })}</p>
  const to = endOf(end, of, now)
  return (
    <p className="until" id="until">
      {t('endsThen')} <b>{longDateTime(to)}</b>, {t('earlier', { span: span(before - to) })} <span className="dim">{zone(to) === 'UTC' ? 'UTC' : `${zone(to)}, ${utc(to)}`}</span>
    </p>
  )
}
