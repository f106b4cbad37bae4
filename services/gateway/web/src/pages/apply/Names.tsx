import { MultiSelect } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import type { SelectorField } from './draft'
import { apply } from './text'

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
