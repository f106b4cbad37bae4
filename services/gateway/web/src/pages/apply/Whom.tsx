import { lazy, Suspense } from 'react'
import { Skeleton } from '../../parts/Note'
import { type Draft, selectorFields } from './draft'
import { Radios } from './Radios'
import { apply } from './text'

const Field = lazy(async () => ({ default: (await import('./Names')).Field }))

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean; sessions: number | undefined }

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
