import { MultiSelect } from '@mantine/core'
import IconChevron from '@tabler/icons-react/dist/esm/icons/IconChevronRight.mjs'
import { useState } from 'react'
import { useTokens } from '../reports/tokens'
import type { Draft } from './draft'
import { apply } from './text'
import { Field } from './Whom'
import { usePolicy } from './Why'

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean }

const most = 50
const offered = 50

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
      {open && <Add draft={draft} set={set} disabled={disabled} users={policy?.breakGlassUsers ?? []} tokens={policy?.breakGlassTokens ?? []} />}
    </details>
  )
}

function Add({ draft, set, disabled, users, tokens }: Props & { users: string[]; tokens: string[] }) {
  const t = apply.useTexts()
  const known = useTokens()
  const called = (id: string) => known?.find((k) => k.id === id)?.name || id
  // What an enforcer holds is never refused, and the policy's pass anyway.
  const data = (known ?? []).filter((k) => k.channel !== 'ENFORCER' && !tokens.includes(k.id ?? '')).map((k) => ({ value: k.id ?? '', label: `${k.name} (${(k.id ?? '').slice(0, 6)})` }))
  return (
    <>
      {users.length + tokens.length > 0 && (
        <p className="always">
          <span className="dim">{t('always')}:</span>
          {[...users, ...tokens.map(called)].map((name) => <span key={name} className="tag"><bdi className="cut">{name}</bdi></span>)}
        </p>
      )}
      <div className="names">
        <Field field="users" label={t('addUsers')} hint={t('pickUsers')} most={most} value={draft.throughUsers} disabled={disabled} change={(throughUsers) => set({ throughUsers })} />
        <MultiSelect
          label={t('addTokens')} placeholder={draft.throughTokens.length ? undefined : t('pickTokens')} data={data} value={draft.throughTokens} onChange={(throughTokens) => set({ throughTokens })}
          size="xs" searchable disabled={disabled} hidePickedOptions maxValues={most} limit={offered} nothingFoundMessage={t('nothingFound')} comboboxProps={{ shadow: 'md' }}
        />
      </div>
      <p className="hint">{t('onlyNow')}</p>
    </>
  )
}
