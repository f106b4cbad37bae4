import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { Area, Editor, errorOf, Text } from '../../parts/Editor'
import type { Device } from './Devices'
import { deviceTexts } from './text'
import { newId } from '../../app/id'

/** Sets what the bastion signs in with. It goes in, and never comes back. */
export function Credential({ device, close }: { device: Device; close: () => void }) {
  const t = deviceTexts.useTexts()
  const client = useQueryClient()
  const [username, setUsername] = useState('')
  const [secret, setSecret] = useState('')
  const [kind, setKind] = useState<'password' | 'privateKey'>('password')
  const set = useMutation({
    mutationFn: () => ask(api.POST('/v1/devices/{name}:setCredential', { params: { path: { name: device.name ?? '' } }, body: { username: username.trim(), [kind]: secret, requestId: newId() } })),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['devices'] })
      close()
    },
  })
  const ready = username.trim() !== '' && secret !== ''
  return (
    <Editor title={t('credentialTitle', { name: device.name })} close={close} save={() => set.mutate()} text={t('saveCredential')} busy={set.isPending} error={set.error} dirty={username !== '' || secret !== ''} ready={ready}>
      <p className="mid">{t('credentialText')} {device.credentialSet && <b>{t('credentialIs')}</b>}</p>
      <Text label={t('username')} value={username} change={setUsername} length={256} error={errorOf(set.error, 'username')} focus />
      <div>
        <p className="lab" id="credential-kind">{t('kind')}</p>
        <div className="seg" role="group" aria-labelledby="credential-kind">
          {(['password', 'privateKey'] as const).map((k) => <button type="button" key={k} aria-pressed={kind === k} onClick={() => { setKind(k); setSecret('') }}>{t(k)}</button>)}
        </div>
      </div>
      {kind === 'password'
        ? <Text label={t('password')} type="password" value={secret} change={setSecret} length={4096} error={errorOf(set.error, 'password')} />
        : <Area label={t('privateKey')} hint={t('pem')} mono value={secret} change={setSecret} length={65536} error={errorOf(set.error, 'privateKey')} />}
    </Editor>
  )
}
