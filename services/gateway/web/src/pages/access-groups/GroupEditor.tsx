import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { dateTime } from '../../app/format'
import { changes, Editor, errorOf, noProof, type Proof, ProofStep, proven, Switch, Text, useIntent } from '../../parts/Editor'
import { listTexts } from '../../parts/list-text'
import type { Group } from './AccessGroups'
import { closes, type Draft, draftOf, rebase } from './draft'
import { useFrozenUntil } from './freeze'
import { difference, Members } from './Members'
import { Moved, moved, Rebased } from './Moved'
import { groupTexts } from './text'

/** Makes an access group, or changes one; it says what that does to a freeze that is on. */
export function GroupEditor({ group, close }: { group?: Group; close: () => void }) {
  const t = groupTexts.useTexts()
  const l = listTexts.useTexts()
  const client = useQueryClient()
  const [base, rest] = useState(group)
  const before = useMemo(() => draftOf(base), [base])
  const [draft, set] = useState(before)
  const put = (part: Partial<Draft>) => set((now) => ({ ...now, ...part }))
  const users = useCallback((make: (now: string[]) => string[]) => set((now) => ({ ...now, users: make(now.users) })), [])
  const devices = useCallback((make: (now: string[]) => string[]) => set((now) => ({ ...now, devices: make(now.devices) })), [])
  const [proof, prove] = useState<Proof>(noProof)
  const frozen = useFrozenUntil()
  const intent = useIntent()
  const stops = frozen > 0 && closes(before) && !closes(draft)
  const save = useMutation({
    mutationFn: () => {
      const body = base ? { ...changes(before, draft), etag: base.etag } : draft
      const backed = proven(proof) ? { ...body, justification: proof.why.trim(), ...(proof.ticket.trim() && { governanceCode: proof.ticket.trim() }) } : body
      const signed = { ...backed, grant: proof.grant?.grant, requestId: intent(backed) }
      return ask(base ? api.PATCH('/v1/access-groups/{name}', { params: { path: { name: before.name } }, body: signed }) : api.POST('/v1/access-groups', { body: signed }))
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['access-groups'] })
      close()
    },
    onError: (error) => {
      if (error instanceof Refusal && error.reason.startsWith('GRANT_')) prove((now) => ({ ...now, grant: undefined }))
    },
  })
  const refused = save.error instanceof Refusal && /^(GRANT|JUSTIFICATION|GOVERNANCE)_/.test(save.error.reason)
  const guarded = stops || refused || proof.grant !== undefined
  const load = (now: Group) => {
    rest(now)
    set(rebase(before, draft, draftOf(now)))
    save.reset()
    rebased(true)
  }
  const [again, rebased] = useState(false)
  const dirty = useMemo(() => Object.keys(changes(before, draft)).length > 0, [before, draft])
  const note = moved(save.error) ? <Moved error={save.error} name={before.name} load={load} />
    : again && !save.isError && !save.isPending ? <Rebased dirty={dirty} /> : undefined
  return (
    <Editor
      title={group ? t('edit', { name: group.name }) : t('create')}
      close={close}
      save={() => save.mutate()}
      busy={save.isPending}
      error={save.error}
      note={note}
      dirty={dirty}
      ready={dirty && draft.name.trim() !== '' && (!guarded || proven(proof))}
    >
      {!group && <Text label={t('name')} hint={t('nameHint')} value={draft.name} change={(name) => put({ name })} length={128} error={errorOf(save.error, 'name')} focus />}
      <Switch label={t('blocks')} hint={t('blocksHint')} on={draft.blockDuringFreezes} change={(blockDuringFreezes) => put({ blockDuringFreezes })} />
      <Switch label={l('enabled')} hint={t('enabledHint')} on={!draft.disabled} change={(on) => put({ disabled: !on })} />
      {frozen > 0 && <Effect before={before} draft={draft} until={frozen} />}
      {guarded && <ProofStep purpose="access-group" proof={proof} change={prove} error={errorOf(save.error, 'justification')} />}
      <Members kind="users" before={before.users} value={draft.users} change={users} error={errorOf(save.error, 'users')} />
      <Members kind="devices" before={before.devices} value={draft.devices} change={devices} error={errorOf(save.error, 'devices')} />
    </Editor>
  )
}

/** What saving would do to a freeze that is on. */
function Effect({ before, draft, until }: { before: Draft; draft: Draft; until: number }) {
  const t = groupTexts.useTexts()
  const { added, dropped } = difference(before.devices, draft.devices)
  const was = closes(before)
  const will = closes(draft)
  const closing = will ? (was ? added : draft.devices.length) : 0
  const opening = was && !will ? before.devices.length : 0
  const leaving = was && will ? dropped : 0
  if (closing + opening + leaving === 0) return null
  return (
    <div className="note frozen" role="status">
      <IconSnowflake className="i" stroke={1.6} aria-hidden />
      <div>
        {closing > 0 && <p><b>{t('closes', { count: closing, until: dateTime(until) })}</b> {t('live')}</p>}
        {opening > 0 && <p><b>{t('opens', { count: opening, until: dateTime(until) })}</b> {t('opensTake')}</p>}
        {leaving > 0 && <p>{t('leaving', { count: leaving })}</p>}
      </div>
    </div>
  )
}
