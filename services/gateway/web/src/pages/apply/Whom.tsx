import { lazy, Suspense } from 'react'
import { Skeleton } from '../../parts/Note'
import { type Draft, selectorFields, type Target as On, targets } from './draft'
import { Radios } from './Radios'
import { apply } from './text'

const Field = lazy(async () => ({ default: (await import('./Names')).Field }))

type Set = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean }
type Props = Set & { sessions: number | undefined }

/** Whom a termination ends: all, said in so many words, or what five searching fields name. */
export function Whom({ draft, set, disabled, sessions }: Props) {
  const t = apply.useTexts()
  return (
    <>
      <div className="row g4 whomrow">
        <Radios
          className="seg"
          label={t('whom')}
          disabled={disabled}
          options={[{ value: 'all', text: t('all') }, { value: 'some', text: t('some') }]}
          value={draft.all ? 'all' : 'some'}
          change={(v) => set({ all: v === 'all' })}
        />
        <p className="sm mid">{draft.all ? (sessions === undefined ? t('allSaidUnknown') : t('allSaid', { count: sessions })) : t('someSaid')}</p>
      </div>
      {!draft.all && (
        <div className="names">
          <Suspense fallback={<Skeleton rows={2} />}>
            {selectorFields.map((field) => (
              <Field key={field} field={field} value={draft.names[field]} disabled={disabled} change={(names) => set({ names: { ...draft.names, [field]: names } })} />
            ))}
          </Suspense>
        </div>
      )}
    </>
  )
}

const one = { users: 'oneUser', devices: 'oneDevice', accessGroups: 'oneGroup' } as const

/** What a lock shuts: one user, device or access group, found by name. */
export function Target({ draft, set, disabled }: Set) {
  const t = apply.useTexts()
  const on = draft.target
  return (
    <>
      <div className="targets">
        <Radios
          className="seg" label={t('locks')} disabled={disabled} options={targets.map((value) => ({ value, text: t(one[value]) }))}
          value={on} change={(target) => set({ target: target as On })}
        />
      </div>
      <div className="names">
        <Suspense fallback={<Skeleton rows={1} />}>
          <Field
            key={on} field={on} label={t(one[on])} hint={t('pickOne')} most={1} value={draft.names[on].slice(0, 1)} disabled={disabled}
            change={(names) => set({ names: { ...draft.names, [on]: names } })}
          />
        </Suspense>
      </div>
      <p className="hint">{t(on === 'users' ? 'locksUser' : on === 'devices' ? 'locksDevice' : 'locksGroup')}</p>
    </>
  )
}
