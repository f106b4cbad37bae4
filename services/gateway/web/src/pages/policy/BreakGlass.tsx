import { MultiSelect } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { useMay } from '../../app/me'
import { errorOf } from '../../parts/reasons'
import { type Draft, type Lists, mostNames, type Policy } from './draft'
import { words } from './text'

type Item = { value: string; label: string; disabled?: boolean }
const offered = 50

/** Whom every lockdown lets through. Who may not use the panel can only take away. */
export function BreakGlass({ policy, before, set, disabled, refused }: { policy: Policy; before: Policy; set: (part: Draft) => void; disabled: boolean; refused: unknown }) {
  const t = words.useTexts()
  const controls = useMay('System.EmergencyPanel.Control')
  const users = useUsers(policy.breakGlassUsers)
  const tokens = useTokens(policy.breakGlassTokens)
  const common = (list: Lists) => ({
    value: policy[list] ?? [],
    disabled,
    error: errorOf(refused, list),
    change: (value: string[]) => set({ [list]: controls ? value : value.filter((name) => before[list]?.includes(name)) }),
  })
  return (
    <section className="card box" aria-labelledby="glass">
      <h2 id="glass">{t('breakGlass')}</h2>
      <p className="sm mid">{t('breakGlassText')}</p>
      <Names label={t('users')} hint={t('usersHint')} none={t('noneFound')} items={users.items} search={users.search} {...common('breakGlassUsers')} />
      <Names label={t('tokens')} hint={t('tokensHint')} none={t('noToken')} items={tokens.items} {...common('breakGlassTokens')} />
      {!disabled && !controls && <p className="hint">{t('onlyAdministrators')}</p>}
      <p className="hint">{t('most')}{tokens.truncated && ` ${t('truncated')}`}</p>
    </section>
  )
}

function Names({ label, hint, none, items, search, value, change, disabled, error }: {
  label: string
  hint: string
  none: string
  items: Item[]
  search?: (text: string) => void
  value: string[]
  change: (value: string[]) => void
  disabled: boolean
  error?: string
}) {
  const t = words.useTexts()
  return (
    <MultiSelect
      label={label} placeholder={value.length ? undefined : hint} data={items} value={value} onChange={change} disabled={disabled} error={error}
      comboboxProps={{ shadow: 'md' }} searchable onSearchChange={search} nothingFoundMessage={none} maxValues={mostNames} hidePickedOptions limit={offered} withCheckIcon={false}
      classNames={{ label: 'f', input: 'names', root: 'nameroot' }} maxDropdownHeight={240}
      renderPill={({ option, onRemove, disabled: off }) => (
        <span className="chip pill-name">
          <bdi className="cut">{option?.label}</bdi>
          {!off && <button type="button" aria-label={t('removeName', { name: option?.label })} onMouseDown={(e) => e.preventDefault()} onClick={(e) => { e.stopPropagation(); onRemove?.() }}>×</button>}
        </span>
      )}
    />
  )
}

/** Every value that is chosen must be among the items, or it would vanish from view. */
function withChosen(items: Item[], chosen: string[] = []): Item[] {
  const known = new Set(items.map((i) => i.value))
  return [...items, ...chosen.filter((name) => !known.has(name)).map((name) => ({ value: name, label: name }))]
}

function useUsers(chosen?: string[]) {
  const [text, setText] = useState('')
  const [wanted] = useDebouncedValue(text.trim(), 200)
  const prefix = wanted.replaceAll('"', '')
  const { data } = useQuery({
    queryKey: ['policy', 'users', prefix],
    queryFn: () => ask(api.GET('/v1/users', { params: { query: { pageSize: offered, ...(prefix && { filter: `name:"${prefix}"` }) } } })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  })
  const items = (data?.users ?? []).map((u) => ({ value: u.name ?? '', label: u.name ?? '' }))
  return { items: withChosen(items, chosen), search: setText }
}

export function useTokens(chosen?: string[]) {
  const { data } = useQuery({
    queryKey: ['policy', 'tokens'],
    queryFn: () => ask(api.GET('/v1/tokens', { params: { query: { pageSize: 1000 } } })),
    staleTime: 30_000,
  })
  const items = (data?.tokens ?? []).map((k) => ({ value: k.id ?? '', label: k.name ? `${k.name} (${(k.id ?? '').slice(0, 6)})` : (k.id ?? '') }))
  return { items: withChosen(items, chosen), truncated: !!data?.nextPageToken }
}
