import IconSearch from '@tabler/icons-react/dist/esm/icons/IconSearch.mjs'
import { useState } from 'react'
import { number } from '../../app/format'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { byCategory, type Method, type Type, useTypes } from './data'
import { ruleTexts } from './rules-text'
import { said, words } from './text'

/** What may be chosen, and how; without it, the catalogue is only shown. */
export type Choosing = { value: string[]; methods: Method[]; change?: (value: string[]) => void; error?: string }

const textOf = (type: Type) => said(type.type, type.description)

/** The types by category, to look at or to choose from. */
export function Types({ choosing }: { choosing?: Choosing }) {
  const t = words.useTexts()
  const r = ruleTexts.useTexts()
  const [text, setText] = useState('')
  const [chosen, choose] = useState<string>()
  const { data, error, refetch } = useTypes()
  if (error) return <RefusalNote error={error} again={() => void refetch()} />
  if (!data) return <Skeleton rows={10} height={22} />
  const all = data.notificationTypes ?? []
  const wanted = text.trim().toLowerCase()
  const found = all.filter((type) => `${textOf(type)} ${type.description} ${type.type}`.toLowerCase().includes(wanted))
  const groups = byCategory(found)
  const shown = [...groups].filter(([category]) => !chosen || category === chosen)
  const count = choosing ? r('chosen', { count: choosing.value.length }) : t('typesText', { count: all.length })
  return (
    <div className="types">
      <div className="row ehead">
        <h3 className="grow lab0" id="types">{choosing ? r('fires') : t('types')} <span className="dim" role="status">{wanted ? t('shown', { count: found.length }) : count}</span></h3>
        <label className="find-types in sm">
          <IconSearch className="i s" stroke={1.6} aria-hidden />
          <span className="sr">{t('find')}</span>
          <input type="search" value={text} placeholder={t('find')} onChange={(e) => setText(e.target.value)} />
        </label>
      </div>
      <div className="tbox" role="group" aria-labelledby="types">
        <Categories groups={groups} value={choosing?.value} chosen={chosen} choose={choose} count={found.length} />
        <div className="tgs">
          {shown.length === 0 && <Empty>{t('nothing')}</Empty>}
          {shown.map(([category, types]) => <Group key={category} category={category} types={types} choosing={choosing} />)}
        </div>
      </div>
      {choosing?.error && <p className="hint err">{choosing.error}</p>}
    </div>
  )
}

function Categories({ groups, value, chosen, choose, count }: { groups: Map<string, Type[]>; value?: string[]; chosen?: string; choose: (category?: string) => void; count: number }) {
  const t = words.useTexts()
  const r = ruleTexts.useTexts()
  const row = (key: string, name: string, types: Type[] | undefined, category?: string) => {
    const n = types ? types.filter((type) => value?.includes(type.type ?? '')).length : (value?.length ?? 0)
    const of = types?.length ?? count
    return (
      <li key={key}>
        <button type="button" aria-pressed={chosen === category} onClick={() => choose(category)}>
          <span className="grow cut">{name}</span><span className={`xs ${n ? 'acc m' : 'dim'}`}>{n ? r('of', { n: number(n), of: number(of) }) : number(of)}</span>
        </button>
      </li>
    )
  }
  return (
    <ul className="cats" aria-label={t('categories')}>
      {row('', t('all'), undefined)}
      {[...groups].map(([category, types]) => row(`c ${category}`, said(category), types, category))}
    </ul>
  )
}

function Group({ category, types, choosing }: { category: string; types: Type[]; choosing?: Choosing }) {
  const r = ruleTexts.useTexts()
  const names = types.map((type) => type.type ?? '')
  const all = names.every((name) => choosing?.value.includes(name))
  const others = choosing?.value.filter((one) => !names.includes(one)) ?? []
  return (
    <>
      <div className="row tgh">
        <h4 className="grow sm b">{said(category)}</h4>
        {choosing?.change && <button type="button" className="lnk sm" aria-label={`${all ? r('clearAll') : r('chooseAll')}: ${said(category)}`} onClick={() => choosing.change?.(all ? others : [...others, ...names])}>{all ? r('clearAll') : r('chooseAll')}</button>}
      </div>
      <ul className="tl">{types.map((type) => <li key={type.type}>{choosing ? <Choose of={type} choosing={choosing} /> : <><span className="sm">{textOf(type)}</span><code className="xs dim">{type.type}</code></>}</li>)}</ul>
    </>
  )
}

function Choose({ of, choosing: { value, methods, change } }: { of: Type; choosing: Choosing }) {
  const t = words.useTexts()
  const r = ruleTexts.useTexts()
  const name = of.type ?? ''
  const without = methods.filter((m) => !of.methods?.includes(m))
  return (
    <label className="ck">
      <input type="checkbox" checked={value.includes(name)} disabled={!change} onChange={(e) => change?.(e.target.checked ? [...value, name] : value.filter((one) => one !== name))} />
      <span>{textOf(of)} {without.length > 0 && <span className="amb xs">{r('cannot', { methods: without.map((m) => t(m)).join(', ') })}</span>}</span>
    </label>
  )
}
