import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { api, ask } from '../../api/client'
import { dateTime, number } from '../../app/format'
import { Editor, useIntent } from '../../parts/Editor'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { useAccounts, useWebhooks, type Delivery, type Method } from './data'
import { StateChip, useDelivery } from './Delivery'
import { deliveryTexts } from './delivery-text'
import { MethodName } from './Methods'
import { said } from './text'

const resendable = ['FAILED', 'BOUNCED']

/** One message: how it stands, each attempt, its text, and what was answered. */
export function DeliveryDrawer({ id, may, close }: { id: string; may: boolean; close: () => void }) {
  const t = deliveryTexts.useTexts()
  const client = useQueryClient()
  const query = useDelivery(id)
  const intent = useIntent()
  const resend = useMutation({
    mutationFn: () => ask(api.POST('/v1/outbox/{id}:resend', { params: { path: { id } }, body: { requestId: intent([id, query.data?.updateTime]) } })),
    onSuccess: (row) => {
      client.setQueryData(['delivery', id], row)
      void client.invalidateQueries({ queryKey: ['outbox'] })
    },
  })
  const of = query.data
  const again = may && resendable.includes(of?.state ?? '')
  return (
    <Editor title={t('title', { to: of?.contact || of?.recipient || id })} close={close} save={again ? () => resend.mutate() : undefined} text={t('resend')} busyText={t('resend')} busy={resend.isPending} error={resend.error}>
      {query.error && <RefusalNote error={query.error} again={() => void query.refetch()} />}
      {query.isPending && <Skeleton />}
      {of && <Facts of={of} />}
    </Editor>
  )
}

function Facts({ of }: { of: Delivery }) {
  const t = deliveryTexts.useTexts()
  const accounts = useAccounts().data?.smtpAccounts ?? []
  const webhooks = useWebhooks().data?.webhooks ?? []
  const account = [...accounts, ...webhooks].find((one) => one.id === of.account)
  const row = (head: string, what: ReactNode) => what ? <div key={head}><dt className="dim">{head}</dt><dd><bdi>{what}</bdi></dd></div> : null
  const emergency = /^[TFKL]-\d+/.exec(of.event ?? '')?.[0]
  return (
    <>
      <div role="status" className="row"><StateChip of={of.state} /><span className="sm mid">{t(`${of.state ?? 'STATE_UNSPECIFIED'}_text`)}</span></div>
      {of.error && <div className="note refusal"><div lang="en"><bdi>{of.error}</bdi></div></div>}
      {of.maybeRepeated && <p className="note caution">{t('repeated')}</p>}
      <dl className="facts sm">
        {row(t('to'), of.recipient)}
        {row(t('method'), <MethodName of={of.method as Method} />)}
        {row(t('subject'), of.subject)}
        {row(t('type'), of.type ? said(of.type) : t('test'))}
        {row(t('emergency'), emergency && <Link to="/emergencies/$id" params={{ id: emergency }}>{emergency}</Link>)}
        {row(t('account'), account?.name)}
        {row(t('created'), of.createTime && dateTime(of.createTime))}
        {row(t('updated'), of.updateTime && dateTime(of.updateTime))}
        {row(t('messageId'), of.messageId && <code className="wrap">{of.messageId}</code>)}
        {row(t('segments'), of.smsSegments ? number(of.smsSegments) : undefined)}
      </dl>
      <Attempts of={of} />
      {of.body && <div className="part"><h3 className="lab">{t('body')}</h3><pre className="said-in" dir="auto" lang={of.language || undefined} tabIndex={0} aria-label={t('body')}>{of.body}</pre></div>}
      {Boolean(of.replies?.length) && (
        <div className="part">
          <h3 className="lab">{t('replies')}</h3>
          {of.replies?.map((r) => <blockquote key={`${r.time}${r.from}`}><p className="sm"><bdi className="m">{r.from}</bdi> <span className="dim">{r.time && dateTime(r.time)}</span></p><p className="sm b"><bdi>{r.subject}</bdi></p><p className="sm said"><bdi>{r.text}</bdi></p></blockquote>)}
        </div>
      )}
    </>
  )
}

function Attempts({ of }: { of: Delivery }) {
  const t = deliveryTexts.useTexts()
  return (
    <div className="part">
      <h3 className="lab">{t('latest')} <span className="dim">{t('attempts', { count: of.attempts ?? 0 })}</span></h3>
      <ol className="tries sm">
        {of.latestAttempts?.map((a) => (
          <li key={a.time}><time className="dim" dateTime={a.time}>{a.time && dateTime(a.time)}</time> <span>{a.error ? <bdi lang="en">{a.error}</bdi> : t('went')}{a.answer && <code className="wrap" lang="en"> {a.answer}</code>}</span></li>
        ))}
      </ol>
      {of.state === 'QUEUED' && of.nextAttemptTime && <p className="hint">{t('next', { at: dateTime(of.nextAttemptTime) })}</p>}
    </div>
  )
}
