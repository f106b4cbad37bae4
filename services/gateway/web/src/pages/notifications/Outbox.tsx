import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api, ask } from '../../api/client'
import { shortDateTime } from '../../app/format'
import { useMay } from '../../app/me'
import { Choice, type Column, Filters, List, Name, Search } from '../../parts/List'
import { nameOf, usePages, useParam, useSearchText } from '../../parts/paging'
import { type Delivery as Row, methods, type Method } from './data'
import { StateChip } from './Delivery'
import { DeliveryDrawer } from './DeliveryDrawer'
import { deliveryTexts } from './delivery-text'
import { MethodName } from './Methods'
import { useShown } from './shown'
import { said, words } from './text'

const size = 50
const states = ['QUEUED', 'SENT', 'DELIVERED', 'READ', 'BOUNCED', 'FAILED'] as const
const every = 5000 // in milliseconds: what waits goes out meanwhile

/** Everything that was sent or is to be. */
export function Outbox() {
  const t = deliveryTexts.useTexts()
  const w = words.useTexts()
  const may = useMay('System.Notifications.Manage')
  const { text, type, settled } = useSearchText('q')
  const who = useSearchText('contact')
  const [state, setState] = useParam('state')
  const [method, setMethod] = useParam('method')
  const [open, show] = useShown('message')
  const asked = settled.trim().replaceAll(' AND ', ' ')
  const filter = [asked && `text="${asked}"`, who.settled.trim() && `contact=${nameOf(who.settled)}`, state && `state=${state}`, method && `method=${method}`].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const query = useQuery({
    queryKey: ['outbox', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/outbox', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined } } })),
    placeholderData: keepPreviousData,
    refetchInterval: (q) => (pages.number === 0 && q.state.data?.outbox?.some((d) => d.state === 'QUEUED') ? every : false),
  })
  return (
    <>
      <Filters>
        <Search label={t('search')} text={text} type={type} />
        <Search label={t('contact')} text={who.text} type={who.type} />
        <Choice label={t('state')} value={state} change={setState} options={[['', t('anyState')], ...states.map((s): [string, string] => [s, t(s)])]} />
        <Choice label={t('method')} value={method} change={setMethod} options={[['', t('anyMethod')], ...methods.map((m): [string, string] => [m, w(m)])]} />
      </Filters>
      <List
        label={t('outbox')} rows={query.data?.outbox} id={(d) => d.id ?? ''} name={(d) => d.recipient ?? ''} columns={useColumns(show)} query={query}
        empty={filter ? t('noneSuch') : t('none')} pages={pages} size={size} next={query.data?.nextPageToken}
      />
      {open && <DeliveryDrawer id={open} may={may} close={() => show('')} />}
    </>
  )
}

function useColumns(show: (id: string) => void): Column<Row>[] {
  const t = deliveryTexts.useTexts()
  return [
    { head: t('to'), cell: (d) => <Name name={d.contact || d.recipient || '–'} below={d.contact ? d.recipient : undefined} open={() => show(d.id ?? '')} /> },
    { head: t('method'), cell: (d) => <MethodName of={d.method as Method} /> },
    { head: t('subject'), cell: (d) => <div className="subj"><bdi>{d.subject || <span className="dim">{t('noSubject')}</span>}</bdi><div className="xs dim">{d.type ? said(d.type) : t('test')}</div></div> },
    { head: t('state'), cell: (d) => <><StateChip of={d.state} />{d.error && <div className="xs err-in"><bdi lang="en">{d.error}</bdi></div>}</> },
    { head: t('tries'), cell: (d) => d.attempts ?? 0 },
    { head: t('when'), cell: (d) => <span className="nw">{d.createTime && shortDateTime(d.createTime)}</span> },
  ]
}
