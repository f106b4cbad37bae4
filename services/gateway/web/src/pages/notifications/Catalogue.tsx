import IconSearch from '@tabler/icons-react/dist/esm/icons/IconSearch.mjs'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { number } from '../../app/format'
import { language } from '../../app/language'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { inPortuguese, words } from './text'

type Type = Schemas['NotificationType']

/** As the server says it, or in the language of the person where it is known. */
const said = (key: string | undefined, words: string | undefined) => (language() === 'pt-BR' && inPortuguese[key ?? '']) || words || key || ''

const textOf = (type: Type) => said(type.type, type.description)

function byCategory(types: Type[]): Map<string, Type[]> {
  const groups = new Map<string, Type[]>()
  for (const type of types) groups.set(type.category ?? '', [...(groups.get(type.category ?? '') ?? []), type])
  return groups
}

/** What a notification can fire on, by category. */
export function Catalogue() {
  const t = words.useTexts()
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState<string>()
  const { data, error, refetch } = useQuery({ queryKey: ['notification-types'], queryFn: () => ask(api.GET('/v1/notification-types')), staleTime: 60_000 })
  const all = data?.notificationTypes ?? []
  const wanted = text.trim().toLowerCase()
  const found = all.filter((type) => `${textOf(type)} ${type.description} ${type.type}`.toLowerCase().includes(wanted))
  const groups = byCategory(found)
  const shown = [...groups].filter(([category]) => !chosen || category === chosen)
  if (error) return <RefusalNote error={error} again={() => void refetch()} />
  if (!data) return <div className="card"><Skeleton rows={10} height={22} /></div>
  return (
    <section className="card" aria-labelledby="types">
      <header>
        <div className="grow"><h2 id="types">{t('types')}</h2><span className="sm dim" role="status">{wanted ? t('shown', { count: found.length }) : t('typesText', { count: all.length })}</span></div>
        <label className="find-types in sm">
          <IconSearch className="i s" stroke={1.6} aria-hidden />
          <span className="sr">{t('find')}</span>
          <input type="search" value={text} placeholder={t('find')} onChange={(e) => setText(e.target.value)} />
        </label>
      </header>
      <div className="tbox">
        <Categories groups={groups} chosen={chosen} choose={setChosen} count={found.length} />
        <div className="tgs">
          {shown.length === 0 && <Empty>{t('nothing')}</Empty>}
          {shown.map(([category, types]) => <Group key={category} category={category} types={types} />)}
        </div>
      </div>
    </section>
  )
}

function Categories({ groups, chosen, choose, count }: { groups: Map<string, Type[]>; chosen?: string; choose: (category?: string) => void; count: number }) {
  const t = words.useTexts()
  const row = (key: string, name: string, n: number, value?: string) => (
    <li key={key}>
      <button type="button" aria-pressed={chosen === value} onClick={() => choose(value)}>
        <span className="grow cut">{name}</span><span className="xs dim">{number(n)}</span>
      </button>
    </li>
  )
  return (
    <ul className="cats" aria-label={t('categories')}>
      {row('', t('all'), count)}
      {[...groups].map(([category, types]) => row(`c ${category}`, said(category, category), types.length, category))}
    </ul>
  )
}

function Group({ category, types }: { category: string; types: Type[] }) {
  return (
    <>
      <h3 className="sm b tgh">{said(category, category)}</h3>
      <ul className="tl">
        {types.map((type) => (
          <li key={type.type}><span className="sm">{textOf(type)}</span><code className="xs dim">{type.type}</code></li>
        ))}
      </ul>
    </>
  )
}
