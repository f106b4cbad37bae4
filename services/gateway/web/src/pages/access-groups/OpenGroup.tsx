import { useQuery } from '@tanstack/react-query'
import { api, ask } from '../../api/client'
import { Editor } from '../../parts/Editor'
import { Skeleton } from '../../parts/Note'
import { GroupEditor } from './GroupEditor'
import { groupTexts } from './text'

/** Reads a group with all its members, which a list leaves out, and opens it as it is now. */
export function OpenGroup({ name, close }: { name: string; close: () => void }) {
  const t = groupTexts.useTexts()
  const { data, error } = useQuery({
    queryKey: ['access-group', name],
    queryFn: () => ask(api.GET('/v1/access-groups/{name}', { params: { path: { name } } })),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY, // it must not change under the fingers: a save tells if it did elsewhere
  })
  if (data) return <GroupEditor group={data} close={close} />
  return <Editor title={t('edit', { name })} close={close} error={error}>{!error && <Skeleton rows={6} />}</Editor>
}
