import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { languages } from '../../app/language'
import { dateTime } from '../../app/format'
import { useMay } from '../../app/me'
import { Choice, type Column, Filters, List, Name, Search } from '../../parts/List'
import { useParam } from '../../parts/paging'
import { useTypes } from './data'
import { useShown } from './shown'
import { TemplateEditor } from './TemplateEditor'
import { templateTexts } from './templates-text'
import { said } from './text'

export type Template = Schemas['Template']
export const nameOfLanguage = (tag: string | undefined) => languages[tag as keyof typeof languages] ?? tag ?? ''

const idOf = (of: Template) => `${of.type}/${of.language}`

/** What notifications say: one text for each type and language. */
export function Templates() {
  const t = templateTexts.useTexts()
  const may = useMay('System.Notifications.Manage')
  const [text, type] = useState('')
  const [tongue, speak] = useParam('language')
  const [changed, onlyChanged] = useParam('changed')
  const [open, show] = useShown('template')
  const filter = [tongue && `language=${tongue}`, changed && `changed=${changed}`].filter(Boolean).join(' AND ')
  const query = useQuery({ queryKey: ['templates', filter], queryFn: () => ask(api.GET('/v1/templates', { params: { query: { filter: filter || undefined } } })) })
  const wanted = text.trim().toLowerCase()
  const rows = query.data?.templates?.filter((one) => `${said(one.type)} ${one.type} ${one.subject}`.toLowerCase().includes(wanted))
  const [kind, language] = open.split('/')
  return (
    <>
      <Filters>
        <Search label={t('search')} text={text} type={type} />
        <Choice label={t('language')} value={tongue} change={speak} options={[['', t('both')], ...Object.entries(languages)]} />
        <Choice label={t('state')} value={changed} change={onlyChanged} options={[['', t('any')], ['true', t('changedOnly')]]} />
      </Filters>
      <List label={t('list')} rows={rows} id={idOf} name={idOf} columns={useColumns(show)} query={query} empty={t('none')} />
      {open && language && <TemplateEditor key={open} type={kind} language={language} may={may} close={() => show('')} />}
    </>
  )
}

function useColumns(show: (id: string) => void): Column<Template>[] {
  const t = templateTexts.useTexts()
  const types = useTypes().data?.notificationTypes
  return [
    { head: t('type'), cell: (one) => <Name name={said(one.type, types?.find((type) => type.type === one.type)?.description)} below={one.type} open={() => show(idOf(one))} /> },
    { head: t('language'), cell: (one) => nameOfLanguage(one.language) },
    { head: t('subject'), cell: (one) => <bdi lang={one.language}>{one.subject}</bdi> },
    { head: t('state'), cell: (one) => (one.changed ? <><span className="chip acc">{t('changed')}</span>{one.updateTime && <div className="xs dim"><bdi>{t('by', { by: one.updatedBy, at: dateTime(one.updateTime) })}</bdi></div>}</> : <span className="dim">{t('builtIn')}</span>) },
  ]
}
