import { MultiSelect } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { type Draft, type SelectorField, selectorFields } from './draft'
import { Radios } from './Radios'
import { apply } from './text'

type Props = { draft: Draft; set: (change: Partial<Draft>) => void; disabled: boolean; sessions: number | undefined }

const shown = 20

/** Asks the server for names that begin with what was typed: whole directories are never loaded. */
async function find(field: SelectorField, text: string): Promise<string[]> {
  const query = (filter: string) => ({ params: { query: { pageSize: shown, ...(text ? { filter } : {}) } } })
  const names = (rows: { name?: string }[] | undefined) => (rows ?? []).map((r) => r.name ?? '')
  switch (field) {
    case 'users': return names((await ask(api.GET('/v1/users', query(`name:${text}`)))).users)
    case 'devices': return names((await ask(api.GET('/v1/devices', query(`name=${text}*`)))).devices)
    case 'accessGroups': return names((await ask(api.GET('/v1/access-groups', query(`name=${text}*`)))).accessGroups)
    case 'connectors': return ((await ask(api.GET('/v1/connectors'))).connectors ?? []).map((c) => c.id ?? '')
    case 'protocols': return ['SSH', 'POSTGRES', 'TCP', 'KUBERNETES']
  }
}

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
          {selectorFields.map((field) => (
            <Field key={field} field={field} value={draft.names[field]} disabled={disabled} change={(names) => set({ names: { ...draft.names, [field]: names } })} />
          ))}
        </div>
      )}
    </>
  )
}

/** Names of one kind, found while one types. */
export function Field({ field, value, change, disabled, label, most = field === 'protocols' ? 16 : 1000, hint }: {
  label?: string; most?: number; hint?: string; field: SelectorField; value: string[]; change: (names: string[]) => void; disabled: boolean
}) {
  const t = apply.useTexts()
  const [text, setText] = useState('')
  const [open, setOpen] = useState(false)
  const wanted = text.trim()
  const { data } = useQuery({
    queryKey: ['selector', field, field === 'connectors' || field === 'protocols' ? '' : wanted],
    queryFn: () => find(field, wanted),
    enabled: open,
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  })
  return (
    <MultiSelect
      label={label ?? t(field)}
      placeholder={value.length ? undefined : (hint ?? t('anyone'))}
      data={[...new Set([...value, ...(data ?? [])])]}
      value={value}
      onChange={change}
      size="xs"
      searchable
      searchValue={text}
      onSearchChange={setText}
      onDropdownOpen={() => setOpen(true)}
      onDropdownClose={() => setOpen(false)}
      disabled={disabled}
      hidePickedOptions
      maxValues={most}
      nothingFoundMessage={t('nothingFound')}
      limit={shown}
      comboboxProps={{ shadow: 'md' }}
    />
  )
}
