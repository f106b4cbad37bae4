import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { Editor, useIntent } from '../../parts/Editor'
import { RefusalNote } from '../../parts/Note'
import type { Device } from './Devices'
import { deviceTexts } from './text'

/** Shows the host key that a device shows, and pins that one and no other once somebody has compared it. */
export function Trust({ device, close }: { device: Device; close: () => void }) {
  const t = deviceTexts.useTexts()
  const client = useQueryClient()
  const path = { name: device.name ?? '' }
  const refresh = () => void client.invalidateQueries({ queryKey: ['devices'] })
  const intent = useIntent()
  const [compared, compare] = useState(false)
  const look = useMutation({
    mutationFn: () => ask(api.POST('/v1/devices/{name}:trust', { params: { path }, body: { validateOnly: true } })),
    onSuccess: () => {
      compare(false)
      pin.reset()
    },
  })
  const shown = look.data?.hostKeyFingerprint
  const pin = useMutation({
    mutationFn: () => ask(api.POST('/v1/devices/{name}:trust', { params: { path }, body: { fingerprint: shown, requestId: intent(shown) } })),
    onSuccess: () => {
      refresh()
      close()
    },
    onError: (error) => {
      // The one that was compared is not the one there is: it has to be looked at anew.
      if (error instanceof Refusal && error.details.field === 'fingerprint') look.reset()
    },
  })
  const forget = useMutation({
    mutationFn: () => ask(api.PATCH('/v1/devices/{name}', { params: { path }, body: { hostKey: '', requestId: intent('forget') } })),
    onSuccess: () => {
      refresh()
      close()
    },
  })
  const before = device.hostKeyFingerprint
  const same = shown !== undefined && shown === before
  const busy = look.isPending || pin.isPending
  const say = look.isPending ? 'reading' : pin.isPending ? 'pinning' : shown ? 'pin' : 'read'
  return (
    <Editor
      title={t('trustTitle', path)} close={close} save={same ? undefined : () => (shown ? pin.mutate() : look.mutate())} text={t(say)} busyText={t(say)} busy={busy}
      error={pin.error ?? look.error} ready={!shown || compared}
    >
      <p className="mid">{t('trustText', { host: `${device.host}:${device.port}` })}</p>
      {before && <div><p className="lab">{t('pinned')}</p><code className="secret">{before}</code></div>}
      {same && <p className="sm b" role="status">{t('same')}</p>}
      {shown && !same && <Shown of={look.data} instead={before !== undefined} loses={device.credentialSet === true && look.data?.credentialSet !== true} compared={compared} compare={compare} />}
      {before && !shown && <div><button type="button" className="btn" disabled={forget.isPending} onClick={() => forget.mutate()}>{t('forget')}</button></div>}
      <RefusalNote error={forget.error} />
    </Editor>
  )
}

/** What the device shows, and the question whether that is its key: nobody else can tell. */
function Shown({ of, instead, loses, compared, compare }: { of?: Device; instead: boolean; loses: boolean; compared: boolean; compare: (yes: boolean) => void }) {
  const t = deviceTexts.useTexts()
  const type = of?.hostKey?.split(' ')[0]
  return (
    <div role="status" className="part">
      <div>
        <p className="lab">{t('shown')} <span className="dim">{type}</span></p>
        <code className="secret">{of?.hostKeyFingerprint}</code>
      </div>
      {instead && <p className="sm b">{t('other')}</p>}
      {loses && <div className="note caution"><div>{t('loses')}</div></div>}
      <div><p className="lab">{t('compare')}</p><code className="secret">ssh-keygen -lf /etc/ssh/{fileOf(type)}</code></div>
      <label className="ck"><input type="checkbox" checked={compared} onChange={(e) => compare(e.target.checked)} /><span>{t('right')}</span></label>
    </div>
  )
}

const fileOf = (type = '') => `ssh_host_${/ed25519/.test(type) ? 'ed25519' : /ecdsa/.test(type) ? 'ecdsa' : 'rsa'}_key.pub`
