import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { newId } from '../../app/id'
import { useMe } from '../../app/me'
import { Area, Editor, errorOf, Text } from '../../parts/Editor'
import { accountTexts } from './accounts-text'
import type { Account } from './data'
import { Result } from './Delivery'

/** Sends one mail, and shows what became of it. */
export function TestMail({ of, close }: { of: Account; close: () => void }) {
  const t = accountTexts.useTexts()
  const client = useQueryClient()
  const [recipient, to] = useState(useMe().email ?? '')
  const [subject, head] = useState(t('testSubject', { name: of.name }))
  const [body, say] = useState(t('testBody', { name: of.name }))
  const id = useRef(newId())
  const send = useMutation({
    mutationFn: () => ask(api.POST('/v1/smtp-accounts/{id}:test', { params: { path: { id: of.id ?? '' } }, body: { recipient: recipient.trim(), subject, body, requestId: id.current } })),
    onSuccess: () => {
      id.current = newId() // what is sent next is another mail
      void client.invalidateQueries({ queryKey: ['smtp-accounts'] })
      void client.invalidateQueries({ queryKey: ['outbox'] })
    },
  })
  const change = (set: (text: string) => void) => (text: string) => {
    id.current = newId()
    set(text)
  }
  return (
    <Editor title={t('testTitle', { name: of.name })} close={close} save={() => send.mutate()} text={t('send')} busyText={t('sending')} busy={send.isPending} error={send.error} ready={recipient.trim() !== ''}>
      <p className="sm mid">{t('testText')}</p>
      <Text label={t('recipient')} type="email" value={recipient} change={change(to)} length={320} error={errorOf(send.error, 'recipient')} focus required />
      <Text label={t('subject')} value={subject} change={change(head)} length={512} error={errorOf(send.error, 'subject')} />
      <Area label={t('body')} value={body} change={change(say)} length={10000} error={errorOf(send.error, 'body')} />
      {send.data && <Result key={send.data.id} of={send.data} />}
    </Editor>
  )
}
