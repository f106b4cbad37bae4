import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime } from '../../app/format'
import { newId } from '../../app/id'
import type { Message } from '../../app/inbox'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { inboxTexts } from './inbox-text'
import { More } from './More'
import './inbox.css'

const size = 20

/** What one was told on the screen, newest first. Whoever opens it reads it there; the unread are marked. */
export function Inbox({ leave }: { leave?: () => void }) {
  const t = inboxTexts.useTexts()
  const client = useQueryClient()
  const [unreadOnly, only] = useState(false)
  const filter = unreadOnly ? 'unread=true' : undefined
  const query = useInfiniteQuery({
    queryKey: ['inbox', filter],
    queryFn: ({ pageParam }) => ask(api.GET('/v1/inbox', { params: { query: { pageSize: size, pageToken: pageParam || undefined, filter } } })),
    initialPageParam: '',
    getNextPageParam: (last) => last.nextPageToken || undefined,
  })
  const changed = () => void client.invalidateQueries({ queryKey: ['inbox'] })
  const readAll = useMutation({ mutationFn: () => ask(api.POST('/v1/inbox:read', { body: { requestId: newId() } })), onSuccess: changed })
  const read = useMutation({ mutationFn: (id: string) => ask(api.POST('/v1/inbox/{id}:read', { params: { path: { id } }, body: { requestId: newId() } })), onSuccess: changed })
  const messages = query.data?.pages.flatMap((page) => page.inbox ?? [])
  const unread = query.data?.pages[0]?.unread ?? 0
  return (
    <div className="inbox">
      <div className="row bar-in">
        <span className="grow sm mid" role="status">{query.data && (unread ? t('count', { count: unread }) : t('allRead'))}</span>
        <label className="ck"><input type="checkbox" checked={unreadOnly} onChange={(e) => only(e.target.checked)} /><span>{t('unreadOnly')}</span></label>
        <button type="button" className="btn sm" disabled={unread === 0 || readAll.isPending} onClick={() => readAll.mutate()}>{t('readAll')}</button>
      </div>
      {(readAll.error ?? read.error) && <RefusalNote error={readAll.error ?? read.error} />}
      {query.error && <RefusalNote error={query.error} again={() => void query.refetch()} />}
      {query.isPending && <Skeleton rows={5} height={64} />}
      {messages?.length === 0 && <Empty>{unreadOnly ? t('noneUnread') : t('none')}</Empty>}
      {messages && messages.length > 0 && (
        <ul className="messages">{messages.map((one) => <One key={one.id} of={one} read={() => read.mutate(one.id ?? '')} leave={leave} />)}</ul>
      )}
      <More query={query} />
    </div>
  )
}

function One({ of, read, leave }: { of: Message; read: () => void; leave?: () => void }) {
  const t = inboxTexts.useTexts()
  const unread = !of.readTime
  const follow = () => {
    if (unread) read()
    leave?.()
  }
  return (
    <li className={unread ? 'unread' : undefined}>
      <div className="row">
        {unread && <i className="dot" aria-hidden />}
        <h3 className="grow sm b"><bdi>{of.subject}</bdi>{unread && <span className="sr"> ({t('unread')})</span>}</h3>
        <time className="xs dim nw" dateTime={of.createTime}>{of.createTime && dateTime(of.createTime)}</time>
      </div>
      <p className="sm mid said"><bdi>{of.text}</bdi></p>
      <div className="row acts-in">
        {of.emergency && <Link to="/emergencies/$id" params={{ id: of.emergency }} className="btn sm" onClick={follow}>{t('open', { id: of.emergency })}</Link>}
        {unread && <button type="button" className="btn sm quiet" aria-label={t('readOne', { subject: of.subject })} onClick={read}>{t('read')}</button>}
      </div>
    </li>
  )
}
