import IconChevron from '@tabler/icons-react/dist/esm/icons/IconChevronRight.mjs'
import { lazy, Suspense, useState } from 'react'
import { Skeleton } from '../../parts/Note'
import type { Draft } from './draft'
import { apply } from './text'
import { usePolicy } from './Why'

const Add = lazy(async () => ({ default: (await import('./Add')).Add }))

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean }

/** Whom this lockdown lets through: those of the policy, said so, and whom one adds for this time. */
export function Through({ draft, set, disabled }: Props) {
  const t = apply.useTexts()
  const own = draft.throughUsers.length + draft.throughTokens.length
  const [open, setOpen] = useState(own > 0)
  const { policy } = usePolicy()
  const always = (policy?.breakGlassUsers?.length ?? 0) + (policy?.breakGlassTokens?.length ?? 0)
  return (
    <details className="through" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <span>{policy && (always ? t('throughAll', { count: always }) : t('throughNone'))} {own > 0 && <b className="b">{t('throughOwn', { count: own })}</b>}</span>
        <span className="acc"><IconChevron className="i s" stroke={1.8} aria-hidden />{t('addThrough')}</span>
      </summary>
      {open && (
        <Suspense fallback={<Skeleton rows={2} />}>
          <Add draft={draft} set={set} disabled={disabled} users={policy?.breakGlassUsers ?? []} tokens={policy?.breakGlassTokens ?? []} />
        </Suspense>
      )}
    </details>
  )
}
