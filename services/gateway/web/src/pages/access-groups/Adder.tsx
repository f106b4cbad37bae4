import { Combobox, useCombobox } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { memo, useDeferredValue, useMemo, useState } from 'react'
import { api, ask } from '../../api/client'
import { Field } from '../../parts/Editor'
import { nameOf } from '../../parts/paging'
import { groupTexts } from './text'

const most = 20

async function search(kind: 'users' | 'devices', begins: string): Promise<string[]> {
  if (kind === 'users') {
    const query = { pageSize: most, filter: begins ? `name:${begins}` : undefined }
    return ((await ask(api.GET('/v1/users', { params: { query } }))).users ?? []).map((u) => u.name ?? '')
  }
  const query = { pageSize: most, filter: begins ? `name=${begins}*` : undefined }
  return ((await ask(api.GET('/v1/devices', { params: { query } }))).devices ?? []).map((d) => d.name ?? '')
}

/** Finds names on the server, as they are typed; a paste of many adds them all. */
export const Adder = memo(function Adder({ kind, has, add, error }: { kind: 'users' | 'devices'; has: string[]; add: (names: string[]) => void; error?: string }) {
  const t = groupTexts.useTexts()
  const [text, type] = useState('')
  const begins = useDeferredValue(nameOf(text))
  const members = useMemo(() => new Set(has), [has])
  const box = useCombobox({ onDropdownClose: () => box.resetSelectedOption() })
  const { data, isPending } = useQuery({ queryKey: ['names', kind, begins], queryFn: () => search(kind, begins), enabled: box.dropdownOpened, staleTime: 10_000 })
  const options = data?.filter((name) => !members.has(name)) ?? []
  const take = (names: string[]) => {
    add(names.filter(Boolean))
    type('')
    box.closeDropdown()
  }
  const label = t(kind === 'users' ? 'addUser' : 'addDevice')
  return (
    <Combobox store={box} onOptionSubmit={(name) => take([name])} withinPortal={false}>
      <Field label={label} hint={t('addHint')} error={error}>
        {(given) => (
          <Combobox.Target>
            <input
              {...given}
              className="in"
              value={text}
              autoComplete="off"
              spellCheck={false}
              maxLength={128}
              onFocus={() => box.openDropdown()}
              onBlur={() => box.closeDropdown()}
              onChange={(e) => {
                type(e.target.value)
                box.openDropdown()
                box.updateSelectedOptionIndex()
              }}
              onPaste={(e) => {
                const names = e.clipboardData.getData('text').split(/[\s,;]+/).filter(Boolean)
                if (names.length < 2) return
                e.preventDefault()
                take(names)
              }}
              onKeyDown={(e) => {
                if (e.key !== 'Enter') return
                e.preventDefault()
                if (box.getSelectedOptionIndex() < 0 && options.includes(text.trim())) take([text.trim()])
              }}
            />
          </Combobox.Target>
        )}
      </Field>
      <Combobox.Dropdown>
        <Combobox.Options aria-label={label} mah={220} style={{ overflowY: 'auto' }}>
          {options.map((name) => <Combobox.Option key={name} value={name}><bdi>{name}</bdi></Combobox.Option>)}
          {options.length === 0 && <Combobox.Empty>{isPending ? t('searching') : t('nothing')}</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  )
})
