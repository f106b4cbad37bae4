import IconCalendar from '@tabler/icons-react/dist/esm/icons/IconCalendar.mjs'
import { useNow } from '../../app/clock'
import { longDateTime, span, utc, zone } from '../../app/format'
import { type Draft, durationFits, lasts, presets, startFits, startOf } from './draft'
import { local } from './moment'
import { Radios } from './Radios'
import { apply } from './text'

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean; endless?: boolean }

/** Among the choices of a length. */
const noEnd = -1

const fiveMinutes = 300_000

export function When({ draft, set, disabled, endless }: Props) {
  const t = apply.useTexts()
  const now = useNow()
  const choices = [
    ...presets.map((minutes) => ({ value: minutes, text: span(minutes * 60_000) })),
    { value: 0, text: <><IconCalendar className="i s" stroke={1.6} aria-hidden />{t('exact')}</> },
    ...(endless ? [{ value: noEnd, text: t('noEnd') }] : []),
  ]
  const exact = (preset: number) => {
    if (preset === noEnd) return set({ endless: true })
    if (preset || draft.preset === undefined) return set({ preset: preset || undefined, endless: false })
    set({ preset: undefined, endless: false, days: 0, hours: Math.floor(draft.preset / 60), minutes: draft.preset % 60 })
  }
  return (
    <>
      <div className="when">
        <div>
          <span className="lab" aria-hidden>{t('start')}</span>
          <Radios
            className="seg"
            label={t('start')}
            disabled={disabled}
            options={[{ value: 'now', text: t('now') }, { value: 'later', text: t('later') }]}
            value={draft.later ? 'later' : 'now'}
            change={(v) => set({ later: v === 'later', start: draft.start || local(Math.ceil((now + fiveMinutes) / fiveMinutes) * fiveMinutes) })}
          />
        </div>
        {draft.later && <Start draft={draft} set={set} disabled={disabled} now={now} />}
        <div className="grow">
          <span className="lab" aria-hidden>{t('duration')}</span>
          <Radios className="pre" label={t('duration')} disabled={disabled} options={choices} value={draft.endless ? noEnd : (draft.preset ?? 0)} change={exact} digits={presets.length} />
        </div>
      </div>
      {draft.preset === undefined && !draft.endless && <Exact draft={draft} set={set} disabled={disabled} />}
      <Until draft={draft} now={now} />
    </>
  )
}

function Start({ draft, set, disabled, now }: Props & { now: number }) {
  const t = apply.useTexts()
  return (
    <div className="later">
      <label className="f" htmlFor="start">{t('startsAt')}</label>
      <input
        id="start" className="in" type="datetime-local" value={draft.start} min={local(now)} disabled={disabled}
        aria-invalid={!startFits(draft, now)} aria-describedby="until" onChange={(e) => set({ start: e.target.value })}
      />
    </div>
  )
}

function Exact({ draft, set, disabled }: Props) {
  const t = apply.useTexts()
  const limits = { days: 30, hours: 720, minutes: 43200 } as const
  return (
    <div className="exact">
      {(['days', 'hours', 'minutes'] as const).map((unit) => (
        <div key={unit}>
          <label className="f" htmlFor={`exact-${unit}`}>{t(unit)}</label>
          <input
            id={`exact-${unit}`} className="in" type="number" inputMode="numeric" min={0} max={limits[unit]} step={1} disabled={disabled}
            value={draft[unit]} aria-invalid={!durationFits(draft)} aria-describedby="until"
            onFocus={(e) => e.target.select()}
            onChange={(e) => set({ [unit]: Math.max(0, Math.min(limits[unit], Math.floor(Number(e.target.value) || 0))) })}
          />
        </div>
      ))}
    </div>
  )
}

function Until({ draft, now }: { draft: Draft; now: number }) {
  const t = apply.useTexts()
  const wrong = !durationFits(draft) ? t('durationOff') : !startFits(draft, now) ? t('startOff') : ''
  if (wrong) return <p className="until red" id="until">{wrong}</p>
  const start = startOf(draft, now)
  const end = start + lasts(draft)
  if (draft.endless) return <p className="until" id="until">{draft.later && <><b>{longDateTime(start)}</b> </>}{t(draft.later ? 'untilLifted' : 'nowUntilLifted')}</p>
  return (
    <p className="until" id="until">
      {draft.later ? <><b>{longDateTime(start)}</b> {t('fromUntil')}</> : t('nowUntil')} <b>{longDateTime(end)}</b>{' '}
      <span className="dim">{zone(end) === 'UTC' ? 'UTC' : `${zone(end)}, ${utc(end)}`}</span>
    </p>
  )
}
