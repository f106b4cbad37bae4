import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { time } from '../../app/format'
import { RefusalNote } from '../../parts/Note'
import type { Group } from './AccessGroups'
import { groupTexts } from './text'

/** Whether somebody else has changed the group since it was read. */
export const moved = (error: unknown): error is Refusal => error instanceof Refusal && error.reason === 'ABORTED' && error.details.field === 'etag'

/** Says that the group was changed meanwhile, by whom, and reads it anew without losing what was edited here. */
export function Moved({ error, name, load }: { error: Refusal; name: string; load: (now: Group) => void }) {
  const t = groupTexts.useTexts()
  const read = useMutation({ mutationFn: () => ask(api.GET('/v1/access-groups/{name}', { params: { path: { name } } })), onSuccess: load })
  const at = error.time('updateTime')
  const by = error.details.updatedBy
  return (
    <div className="note caution" role="alert">
      <div>
        <p>{typeof by === 'string' && at ? t('changedBy', { name: `\u2068${by}\u2069`, time: time(at) }) : t('changedMeanwhile')} <span className="reason">{error.reason}</span></p>
        <RefusalNote error={read.error} />
      </div>
      <button type="button" className="btn sm" disabled={read.isPending} onClick={() => read.mutate()}>{t('rebase')}</button>
    </div>
  )
}

/** Says what stands in the form now. It takes the focus, which was on a button that is gone. */
export function Rebased({ dirty }: { dirty: boolean }) {
  const t = groupTexts.useTexts()
  const said = useRef<HTMLParagraphElement>(null)
  useEffect(() => said.current?.focus(), [])
  return <p className="note caution" role="status" tabIndex={-1} ref={said}>{t(dirty ? 'rebased' : 'rebasedSame')}</p>
}
