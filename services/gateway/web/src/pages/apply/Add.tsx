import { MultiSelect } from '@mantine/core'
import { useTokens } from '../reports/tokens'
import type { Draft } from './draft'
import { Field } from './Names'
import { apply } from './text'

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean; users: string[]; tokens: string[] }

const most = 50
const offered = 50

/** Those whom the policy lets through anyway, and the fields for more. */
export function Add({ draft, set, disabled, users, tokens }: Props) {
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
