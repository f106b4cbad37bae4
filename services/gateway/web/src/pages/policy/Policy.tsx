import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime } from '../../app/format'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { errorOf } from '../../parts/reasons'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { BreakGlass } from './BreakGlass'
import { Confirm } from './Confirm'
import { changed, type Draft, type Policy as Policy_ } from './draft'
import { Drift } from './Drift'
import { Expected } from './Expected'
import { Governance } from './Governance'
import './policy.css'
import { Second } from './Second'
import { words } from './text'

/** The one policy: what an emergency asks for, and whom a lockdown lets through. */
export function Policy() {
  const t = words.useTexts()
  const changes = useMay('System.Policy.Manage')
  const may = useMay('System.Read') || changes
  const { data, error, refetch } = useQuery({ queryKey: ['policy'], queryFn: () => ask(api.GET('/v1/policy')), enabled: may })
  return (
    <div className="policy">
      <Head title={t('title')} crumbs={[t('settings')]} text={t('text')} />
      {!may && <div className="card"><Empty>{t('mayNot')}</Empty></div>}
      {error && <RefusalNote error={error} again={() => void refetch()} />}
      {may && !data && !error && <div className="card"><Skeleton /></div>}
      {data && <Editor policy={data} changes={changes} />}
    </div>
  )
}

function Editor({ policy, changes }: { policy: Policy_; changes: boolean }) {
  const t = words.useTexts()
  const client = useQueryClient()
  const [draft, setDraft] = useState<Draft>({})
  const [saved, setSaved] = useState('')
  const [refused, setRefused] = useState<unknown>()
  const difference = changed(policy, draft)
  const set = (part: Draft) => {
    setSaved('')
    setRefused(undefined)
    setDraft({ ...draft, ...part })
  }
  const done = (now: Policy_) => {
    client.setQueryData(['policy'], now)
    setDraft({})
    setSaved(now.revision ?? '')
  }
  const shown = { ...policy, ...draft }
  return (
    <>
      {!changes && <p className="note" role="note">{t('readOnly')}</p>}
      <div className="pgrid">
        <div className="pcol">
          <Governance policy={shown} set={set} disabled={!changes} refused={errorOf(refused, 'governancePattern')} />
          <Second policy={shown} set={set} disabled={!changes} refused={errorOf(refused, 'ticketCheck')} />
        </div>
        <div className="pcol">
          <BreakGlass policy={shown} before={policy} set={set} disabled={!changes} refused={refused} />
          <Drift policy={shown} before={policy} set={set} disabled={!changes} refused={errorOf(refused, 'driftPercent')} />
        </div>
        <Expected policy={shown} set={set} disabled={!changes} refused={errorOf(refused, 'expectedEnforcers')} />
      </div>
      {Object.keys(difference).length > 0 && (
        <Confirm policy={policy} difference={difference} done={done} discard={() => setDraft({})} refuse={setRefused} />
      )}
      {saved && <p className="sm mid done" role="status">{t('saved', { revision: saved })}</p>}
      <Last of={policy} />
    </>
  )
}

function Last({ of }: { of: Policy_ }) {
  const t = words.useTexts()
  if (!of.updatedBy) return <p className="xs dim">{t('never')}</p>
  return <p className="xs dim">{t('last')} <bdi>{of.updatedBy}</bdi> {t('lastAt', { time: dateTime(of.updateTime ?? ''), revision: of.revision })}</p>
}
