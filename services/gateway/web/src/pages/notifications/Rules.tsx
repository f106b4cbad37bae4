import { Switch } from '@mantine/core'
import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, ask } from '../../api/client'
import { newId } from '../../app/id'
import { useMay } from '../../app/me'
import { Choice, Search } from '../../parts/List'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { useParam, useSearchText } from '../../parts/paging'
import { type Method, methods, type Rule, useTypes } from './data'
import { More } from './More'
import { MethodName } from './Methods'
import { RuleEditor } from './RuleEditor'
import { ruleTexts } from './rules-text'
import { said, warned } from './text'
import { Types } from './Types'
import { useShown } from './shown'

const size = 50

/** Who is told of what: the list, and one of it beside. */
export function Rules() {
  const t = ruleTexts.useTexts()
  const may = useMay('System.Notifications.Manage')
  const [id, show] = useShown('rule')
  return (
    <div className={`nlay${id ? ' one' : ''}`}>
      <RuleList id={id} show={show} may={may} t={t} />
      {id ? <RuleEditor key={id} id={id} may={may} show={show} /> : <section className="card ed cat"><Types /></section>}
    </div>
  )
}

function RuleList({ id, show, may, t }: { id: string; show: (id: string) => void; may: boolean; t: ReturnType<typeof ruleTexts.useTexts> }) {
  const { text, type, settled } = useSearchText('q')
  const [enabled, setEnabled] = useParam('enabled')
  const name = settled.trim().slice(0, 128)
  const filter = [name && `name="${name.replaceAll(' AND ', ' ')}*"`, enabled && `enabled=${enabled}`].filter(Boolean).join(' AND ')
  const query = useInfiniteQuery({
    queryKey: ['notifications', filter],
    queryFn: ({ pageParam }) => ask(api.GET('/v1/notifications', { params: { query: { pageSize: size, pageToken: pageParam || undefined, filter: filter || undefined } } })),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextPageToken || undefined,
  })
  const rules = query.data?.pages.flatMap((page) => page.notifications ?? [])
  return (
    <section className="card nlist" aria-label={t('list')}>
      <header>
        <Search label={t('search')} text={text} type={type} />
        <Choice label={t('any')} value={enabled} change={setEnabled} options={[['', t('any')], ['true', t('on')], ['false', t('off')]]} />
        {may && <button type="button" className="btn sm" onClick={() => show('new')}><IconPlus className="i s" stroke={1.8} aria-hidden />{t('create')}</button>}
      </header>
      {query.error && <RefusalNote error={query.error} again={() => void query.refetch()} />}
      {query.isPending && <Skeleton rows={5} height={44} />}
      {rules?.length === 0 && <Empty>{filter ? t('noneSuch') : t('none')}</Empty>}
      {rules && rules.length > 0 && <ul>{rules.map((rule) => <Row key={rule.id} of={rule} on={rule.id === id} show={show} may={may} />)}</ul>}
      <More query={query} />
    </section>
  )
}

const disabled = /^It is disabled/

function Row({ of, on, show, may }: { of: Rule; on: boolean; show: (id: string) => void; may: boolean }) {
  const t = ruleTexts.useTexts()
  const client = useQueryClient()
  const types = useTypes().data?.notificationTypes
  const categories = [...new Set(types?.filter((type) => of.types?.includes(type.type ?? '')).map((type) => said(type.category)))]
  const problem = of.types?.length === 0 || !of.types ? t('firesOnNothing') : warned(of.warnings?.find((one) => !disabled.test(one)) ?? '')
  const turn = useMutation({
    mutationFn: (enabled: boolean) => ask(api.PATCH('/v1/notifications/{id}', { params: { path: { id: of.id ?? '' } }, body: { enabled, requestId: newId() } })),
    onSuccess: (rule) => {
      client.setQueryData(['notification', rule.id], rule)
      return client.invalidateQueries({ queryKey: ['notifications'] })
    },
  })
  return (
    <li className={`${on ? 'on' : ''}${of.enabled ? '' : ' offl'}`}>
      <button type="button" className="grow open" aria-current={on || undefined} aria-label={t('openOne', { name: of.name })} onClick={() => show(of.id ?? '')}>
        <span className="sm m cut"><bdi>{of.name}</bdi></span>
        <span className={`xs cut ${problem && of.enabled ? 'mid m' : 'dim'}`}>{problem || [...categories, of.onlyWithAccess && t('withAccess')].filter(Boolean).join(', ')}</span>
        {turn.error && <RefusalNote error={turn.error} />}
      </button>
      <span className="mi">{methods.filter((m) => of.methods?.includes(m)).map((m) => <MethodName key={m} of={m as Method} only />)}</span>
      <Switch aria-label={t('enabledOne', { name: of.name })} checked={turn.isPending ? turn.variables : (of.enabled ?? false)} disabled={!may} onChange={(e) => turn.mutate(e.currentTarget.checked)} withThumbIndicator={false} />
    </li>
  )
}
