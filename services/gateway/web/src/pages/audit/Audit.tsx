import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { number } from '../../app/format'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import './audit.css'
import { Chain } from './Chain'
import { type Entry, entries, filterOf, type Wanted } from './data'
import { EntryDrawer } from './EntryDrawer'
import { EntryTable } from './EntryTable'
import { Export } from './Export'
import { Filter } from './Filter'
import { words } from './text'

/** The record: what was done, by whom, why, and the proof that nothing was changed since. */
export function Audit() {
  const t = words.useTexts()
  const may = useMay('System.Audit.Read')
  const wanted: Wanted = useSearch({ strict: false })
  return (
    <div className="audit">
      <Head title={t('title')} crumbs={[t('evidence')]} text={t('text')}>{may && <Export wanted={wanted} />}</Head>
      {may ? (
        <>
          <Chain />
          <List key={filterOf(wanted)} wanted={wanted} />
        </>
      ) : (
        <div className="card"><Empty>{t('mayNot')}</Empty></div>
      )}
    </div>
  )
}

const refreshEvery = 10_000

function List({ wanted }: { wanted: Wanted }) {
  const t = words.useTexts()
  const go = useNavigate()
  const [tokens, setTokens] = useState<string[]>([])
  const [open, setOpen] = useState<Entry>()
  const at = tokens.at(-1)
  const { data, error, refetch, isPending } = useQuery({
    queryKey: ['audit', filterOf(wanted), at],
    queryFn: () => entries(wanted, at),
    placeholderData: keepPreviousData,
    refetchInterval: at ? false : refreshEvery,
  })
  const rows = data?.entries ?? []
  const choose = (next: Wanted) => void go({ to: '/audit', search: next, replace: true })
  return (
    <section className="card">
      <Filter wanted={wanted} choose={choose} />
      {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
      {isPending && !error && <Skeleton rows={8} height={26} />}
      {data && rows.length === 0 && <Empty>{t('empty')}</Empty>}
      {rows.length > 0 && <EntryTable rows={rows} open={setOpen} />}
      {data && (tokens.length > 0 || data.nextPageToken) && (
        <footer className="pages">
          <span className="sm dim grow">{t('page', { page: number(tokens.length + 1) })}, {t('shown', { count: rows.length })}</span>
          <button type="button" className="btn sm" disabled={!at} onClick={() => setTokens(tokens.slice(0, -1))}>{t('newest')}</button>
          <button type="button" className="btn sm" disabled={!data.nextPageToken} onClick={() => setTokens([...tokens, data.nextPageToken ?? ''])}>{t('older')}</button>
        </footer>
      )}
      <EntryDrawer of={open} close={() => setOpen(undefined)} />
    </section>
  )
}
