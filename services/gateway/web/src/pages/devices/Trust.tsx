import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api, ask } from '../../api/client'
import { Editor } from '../../parts/Editor'
import { RefusalNote } from '../../parts/Note'
import type { Device } from './Devices'
import { useFingerprint } from './fingerprint'
import { deviceTexts } from './text'
import { newId } from '../../app/id'

/** Pins the host key that the device shows, says which one that is, and lets go of it again. */
export function Trust({ device, close }: { device: Device; close: () => void }) {
  const t = deviceTexts.useTexts()
  const client = useQueryClient()
  const path = { name: device.name ?? '' }
  const refresh = () => client.invalidateQueries({ queryKey: ['devices'] })
  const trust = useMutation({
    mutationFn: () => ask(api.POST('/v1/devices/{name}:trust', { params: { path }, body: { requestId: newId() } })),
    onSuccess: refresh,
  })
  const forget = useMutation({ mutationFn: () => ask(api.PATCH('/v1/devices/{name}', { params: { path }, body: { hostKey: '' } })), onSuccess: refresh })
  const before = device.hostKey || undefined
  const shown = trust.data?.hostKey
  const pinned = useFingerprint(before)
  const now = useFingerprint(shown)
  return (
    <Editor title={t('trustTitle', { name: device.name })} close={close} save={shown ? undefined : () => trust.mutate()} text={trust.isPending ? t('reading') : t('read')} busy={trust.isPending} error={trust.error}>
      <p className="mid">{t('trustText', { host: `${device.host}:${device.port}` })}</p>
      <code className="secret">{t('compare')}</code>
      {before && <div><p className="lab">{shown ? t('before') : t('pinned')}</p><code className="secret">{pinned}</code></div>}
      {before && !shown && <div className="note caution"><div>{t('trustAgain')}</div></div>}
      {shown && (
        <div role="status">
          <p className="lab">{t('shown')}</p>
          <code className="secret">{now}</code>
          {before && <p className={`sm${before === shown ? '' : ' b'}`} style={{ marginTop: 8 }}>{before === shown ? t('same') : t('other')}</p>}
        </div>
      )}
      {forget.isSuccess ? <p className="sm b" role="status">{t('forgotten')}</p> : shown && (
        <div className="row">
          <button type="button" className="btn pri" onClick={close}>{t('right')}</button>
          <button type="button" className="btn" disabled={forget.isPending} onClick={() => forget.mutate()}>{t('forget')}</button>
        </div>
      )}
      <RefusalNote error={forget.error} />
    </Editor>
  )
}
