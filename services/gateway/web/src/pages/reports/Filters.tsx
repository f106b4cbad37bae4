import { Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import IconCalendar from '@tabler/icons-react/dist/esm/icons/IconCalendar.mjs'
import IconSort from '@tabler/icons-react/dist/esm/icons/IconArrowsSort.mjs'
import IconStack from '@tabler/icons-react/dist/esm/icons/IconStack2.mjs'
import IconUser from '@tabler/icons-react/dist/esm/icons/IconUser.mjs'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState } from 'react'
import { api, ask } from '../../api/client'
import { number } from '../../app/format'
import { useMe } from '../../app/me'
import { shell } from '../../app/text'
import { Search as SearchField } from '../../parts/List'
import { nameOf } from '../../parts/paging'
import { columnsOf } from './columns'
import type { ReportKind } from './emergency'
import { hasDays, type Reach, reaches, reachOf, type Search, usualOrder } from './search'
import { reports } from './text'

const windows = ['PENDING', 'ONGOING', 'ENDED', 'CANCELLED'] as const
const cuts = ['RUNNING', 'DONE', 'PARTIAL'] as const

type Set = (change: Search, replace?: boolean) => void
type Props = { search: Search; set: Set }

/** What narrows a report: all of it is in the address, and the server does it. */
export function Filters({ kind, search, set, people, counts }: Props & { kind: ReportKind; people: string[]; counts: Record<string, number> | undefined }) {
  const t = reports.useTexts()
  return (
    <div className="flt" role="search" aria-label={t('narrow')}>
      <Words search={search} set={set} />
      <Status kind={kind} search={search} set={set} counts={counts} />
      <People search={search} set={set} people={people} />
      <Time search={search} set={set} />
      {kind === 'FREEZE' && <Group search={search} set={set} />}
      <Order kind={kind} search={search} set={set} />
    </div>
  )
}

const pause = 250

/** The words that are looked for, once the typing pauses. One search is one step of the browser's Back. */
function Words({ search, set }: Props) {
  const t = reports.useTexts()
  const settled = search.q ?? ''
  const [text, type] = useState(settled)
  const [known, know] = useState(settled)
  if (known !== settled) { // somebody else wrote the address
    know(settled)
    type(settled)
  }
  useEffect(() => {
    if (text.trim() === settled) return
    const timer = setTimeout(() => {
      know(text.trim())
      set({ q: text.trim() || undefined, page: undefined }, settled !== '')
    }, pause)
    return () => clearTimeout(timer)
  })
  return <SearchField label={t('words')} text={text} type={type} />
}

function Status({ kind, search, set, counts }: Props & { kind: ReportKind; counts: Record<string, number> | undefined }) {
  const t = reports.useTexts()
  const say = shell.useTexts()
  const show = (status: string | undefined) => set({ status, page: undefined })
  const how = (n: number) => counts && <em>{number(n)}</em>
  return (
    <div className="seg" role="group" aria-label={t('status')}>
      <button type="button" aria-pressed={!search.status} onClick={() => show(undefined)}>{t('all')} {how(totalOf(counts ?? {}))}</button>
      {(kind === 'TERMINATION' ? cuts : windows).map((status) => (
        <button key={status} type="button" aria-pressed={search.status === status} onClick={() => show(status)}>{say(status)} {how(counts?.[status] ?? 0)}</button>
      ))}
    </div>
  )
}

export const totalOf = (counts: Record<string, number>) => Object.values(counts).reduce((sum, n) => sum + n, 0)

/** A select with the icon of what it is about. */
function Pick({ icon, label, value, change, className, children }: { icon: ReactNode; label: string; value: string; change: (value: string) => void; className?: string; children: ReactNode }) {
  return (
    <span className={`pick ${className ?? ''}`}>
      {icon}
      <select className="in sm" aria-label={label} value={value} onChange={(e) => change(e.target.value)}>{children}</select>
    </span>
  )
}

function People({ search, set, people }: Props & { people: string[] }) {
  const t = reports.useTexts()
  const me = useMe().name ?? ''
  const names = [...new Set([me, ...people, search.by ?? ''])].filter(Boolean).sort()
  return (
    <Pick icon={<IconUser className="i s" stroke={1.6} aria-hidden />} label={t('byWhom')} value={search.by ?? ''} change={(by) => set({ by: by || undefined, page: undefined })}>
      <option value="">{t('anyone')}</option>
      {names.map((name) => <option key={name} value={name}>{name === me ? t('me', { name }) : name}</option>)}
    </Pick>
  )
}

const days = 'days'

/** When it was on: the last so many days, or from one day to another. */
function Time({ search, set }: Props) {
  const t = reports.useTexts()
  const open = hasDays(search)
  const change = (value: string) => {
    const none = { last: undefined, from: undefined, to: undefined, page: undefined }
    set(value === days ? { ...none, from: '' } : { ...none, last: value || undefined })
  }
  return (
    <>
      <Pick icon={<IconCalendar className="i s" stroke={1.6} aria-hidden />} label={t('time')} value={reachOf(search) ?? (open ? days : '')} change={change}>
        <option value="">{t('anyTime')}</option>
        {(Object.keys(reaches) as Reach[]).map((reach) => <option key={reach} value={reach}>{t(`last${reach}`)}</option>)}
        <option value={days}>{t('days')}</option>
      </Pick>
      {open && (
        <span className="row days">
          <input className="in sm" type="date" aria-label={t('fromDay')} value={search.from ?? ''} max={search.to || undefined} onChange={(e) => set({ from: e.target.value, page: undefined }, true)} />
          <span className="dim" aria-hidden>–</span>
          <input className="in sm" type="date" aria-label={t('toDay')} value={search.to ?? ''} min={search.from || undefined} onChange={(e) => set({ from: search.from ?? '', to: e.target.value || undefined, page: undefined }, true)} />
        </span>
      )}
    </>
  )
}

const offered = 20

/** The freezes that closed the devices of one access group. */
function Group({ search, set }: Props) {
  const t = reports.useTexts()
  const [text, type] = useState('')
  const [open, setOpen] = useState(false)
  const [wanted] = useDebouncedValue(text === search.group ? '' : text.trim(), pause)
  const { data } = useQuery({
    queryKey: ['report', 'groups', wanted],
    queryFn: () => ask(api.GET('/v1/access-groups', { params: { query: { pageSize: offered, ...(wanted && { filter: `name=${nameOf(wanted)}*` }) } } })),
    enabled: open,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  })
  const names = (data?.accessGroups ?? []).map((g) => g.name ?? '')
  return (
    <Select
      className="group" size="xs" aria-label={t('group')} placeholder={t('anyGroup')} leftSection={<IconStack className="i s" stroke={1.6} aria-hidden />}
      data={[...new Set([...(search.group ? [search.group] : []), ...names])]} filter={({ options }) => options} value={search.group ?? null}
      onChange={(group) => set({ group: group ?? undefined, page: undefined })} searchable searchValue={text} onSearchChange={type} clearable
      clearButtonProps={{ 'aria-label': t('anyGroup') }} nothingFoundMessage={t('noGroup')} onDropdownOpen={() => setOpen(true)} comboboxProps={{ shadow: 'md' }} maxDropdownHeight={240}
    />
  )
}

/** The order, where there are cards and no heads of columns to press. */
function Order({ kind, search, set }: Props & { kind: ReportKind }) {
  const t = reports.useTexts()
  const sort = search.sort || usualOrder
  const orders = columnsOf(kind).filter((c) => c.order).flatMap(({ key, order = '' }) => (order === usualOrder ? [[order, t(key)]] : [[order, t('rising', { of: t(key) })], [`-${order}`, t('falling', { of: t(key) })]]))
  return (
    <Pick icon={<IconSort className="i s" stroke={1.6} aria-hidden />} label={t('order')} value={sort} change={(to) => set({ sort: to === usualOrder ? undefined : to, page: undefined })} className="narrow">
      {orders.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </Pick>
  )
}
