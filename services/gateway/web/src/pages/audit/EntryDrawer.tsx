import { Drawer } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useRef } from 'react'
import { dateTime, utc, zone } from '../../app/format'
import { shell } from '../../app/text'
import { useAct } from './acts-text'
import { CopyButton } from './Chain'
import type { Entry } from './data'
import { useWhat } from './EntryTable'
import { words } from './text'

/** The whole entry, with its place in the chain. It keeps its contents while it slides away. */
export function EntryDrawer({ of, close }: { of: Entry | undefined; close: () => void }) {
  const t = words.useTexts()
  const say = shell.useTexts()
  const last = useRef(of)
  if (of) last.current = of
  const e = of ?? last.current
  return (
    <Drawer
      opened={of !== undefined} onClose={close} position="right" size={520}
      title={<b className="b">{t('details', { revision: e?.revision })}</b>} closeButtonProps={{ 'aria-label': say('close') }}
    >
      {e && <Fields of={e} />}
    </Drawer>
  )
}

const isEmergency = (target: string | undefined) => /^[TFKL]-\d+$/.test(target ?? '')

function Fields({ of }: { of: Entry }) {
  const t = words.useTexts()
  const what = useWhat()
  const act = useAct()(of)
  const at = of.time ?? ''
  return (
    <dl className="fields">
      <Field name={t('what')}>{what(of)}{act && `: ${act}`}</Field>
      <Field name={t('time')}>{dateTime(at)} {zone(at)} <span className="dim">({utc(at)})</span></Field>
      <Field name={t('actor')}><bdi>{of.actor}</bdi></Field>
      <Field name={t('address')}>{of.address}</Field>
      <Field name={t('target')}>
        {isEmergency(of.target) ? <Link to="/emergencies/$id" params={{ id: of.target ?? '' }}>{t('openEmergency', { id: of.target })}</Link> : of.target && <bdi>{of.target}</bdi>}
      </Field>
      <Field name={t('detail')}>{of.detail && <bdi>{of.detail}</bdi>}</Field>
      <Field name={t('ticket')}>{of.governanceCode && <><bdi className="mono">{of.governanceCode}</bdi> <bdi>{of.ticketCheck?.title}</bdi>{of.ticketCheck?.state === 'NOT_CHECKED' && <b>{t('notChecked', { why: of.ticketCheck.why })}</b>}</>}</Field>
      <Field name={t('approval')}>{of.approval && <span className="mono">{of.approval}</span>}</Field>
      <Field name={t('justification')}>{of.justification && <bdi className="text">{of.justification}</bdi>}</Field>
      <Field name={t('request')}>{of.requestId && <span className="mono">{of.requestId}</span>}</Field>
      <Field name={t('revision')}><span className="mono">{of.revision}</span></Field>
      <Field name={t('hash')}><span className="mono">{of.hash}</span> <CopyButton text={of.hash ?? ''} label={t('copyHash')} /></Field>
      <Field name={t('previousHash')}>{of.previousHash ? <span className="mono">{of.previousHash}</span> : t('firstEntry')}</Field>
    </dl>
  )
}

/** A field that has something in it. */
function Field({ name, children }: { name: string; children: ReactNode }) {
  if (!children) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
