import { TagsInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { Area, changes, Editor, errorOf, Field, Switch, Text, useIntent } from '../../parts/Editor'
import { listTexts } from '../../parts/list-text'
import { type Device, protocols } from './Devices'
import { deviceTexts } from './text'

type Draft = { name: string; host: string; port: string; protocol: NonNullable<Device['protocol']>; labels: string[]; hostKey: string; disabled: boolean }

const draftOf = (d?: Device): Draft => ({
  name: d?.name ?? '', host: d?.host ?? '', port: d?.port ? String(d.port) : '', protocol: d?.protocol ?? 'SSH',
  labels: Object.entries(d?.labels ?? {}).map(([k, v]) => `${k}=${v}`), hostKey: d?.hostKey ?? '', disabled: d?.disabled ?? false,
})

/** What a PATCH says of labels: those that are gone are set to nothing. */
function labelsOf(draft: Draft, before?: Device): Record<string, string> {
  const gone = Object.fromEntries(Object.keys(before?.labels ?? {}).map((k) => [k, '']))
  return { ...gone, ...Object.fromEntries(draft.labels.map((l) => [l.slice(0, l.indexOf('=')).trim(), l.slice(l.indexOf('=') + 1).trim()])) }
}

function bodyOf(draft: Draft, before?: Device): Device {
  const part = before ? changes(draftOf(before), draft) : draft
  const { labels, port, ...rest } = part
  return { ...rest, ...(port !== undefined && { port: Number(port) || 0 }), ...(labels && { labels: labelsOf(draft, before) }) } as Device
}

/** Makes a device, or changes one. */
export function DeviceEditor({ device, close }: { device?: Device; close: () => void }) {
  const t = deviceTexts.useTexts()
  const l = listTexts.useTexts()
  const client = useQueryClient()
  const [draft, set] = useState(() => draftOf(device))
  const put = (part: Partial<Draft>) => set((before) => ({ ...before, ...part }))
  const intent = useIntent()
  const save = useMutation({
    mutationFn: () => {
      const body = bodyOf(draft, device)
      const signed = { ...body, requestId: intent(body) }
      return ask(device ? api.PATCH('/v1/devices/{name}', { params: { path: { name: device.name ?? '' } }, body: signed }) : api.POST('/v1/devices', { body: signed }))
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['devices'] })
      close()
    },
  })
  const dirty = JSON.stringify(draft) !== JSON.stringify(draftOf(device))
  const anotherKey = Boolean(device?.hostKey) && draft.hostKey.trim() !== device?.hostKey
  const moves = device?.credentialSet && (draft.host !== device.host || draft.port !== String(device.port) || anotherKey)
  const wrong = (field: string) => errorOf(save.error, field)
  return (
    <Editor title={device ? t('edit', { name: device.name }) : t('create')} close={close} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={dirty} ready={dirty && draft.name.trim() !== '' && draft.host.trim() !== ''}>
      {!device && <Text label={t('name')} hint={t('nameHint')} value={draft.name} change={(name) => put({ name })} length={128} error={wrong('name')} focus />}
      <div className="two">
        <Text label={t('host')} hint={t('hostHint')} value={draft.host} change={(host) => put({ host: host.trim() })} length={253} error={wrong('host')} />
        <Text label={t('port')} hint={t('portHint')} value={draft.port} change={(port) => put({ port: port.replace(/\D/g, '') })} length={5} error={wrong('port')} />
      </div>
      <Field label={t('protocol')} error={wrong('protocol')}>
        {(given) => <select {...given} className="in" value={draft.protocol} onChange={(e) => put({ protocol: e.target.value as Draft['protocol'] })}>{protocols.map((p) => <option key={p}>{p}</option>)}</select>}
      </Field>
      <TagsInput label={t('labels')} description={t('labelsHint')} error={wrong('labels')} value={draft.labels} maxTags={64} splitChars={[',', ';']} onChange={(labels) => put({ labels: labels.filter((one) => one.indexOf('=') > 0) })} acceptValueOnBlur />
      {draft.protocol === 'SSH' && <Area label={t('keyLine')} optional hint={t('keyHint')} mono value={draft.hostKey} change={(hostKey) => put({ hostKey })} length={16384} error={wrong('hostKey')} />}
      {moves && <div className="note caution" role="status"><div>{t('moves')}</div></div>}
      <Switch label={l('enabled')} on={!draft.disabled} change={(on) => put({ disabled: !on })} />
      {device && <Groups of={device} />}
    </Editor>
  )
}

function Groups({ of }: { of: Device }) {
  const t = deviceTexts.useTexts()
  return (
    <div className="part">
      <h3 className="lab">{t('groups')}</h3>
      {of.accessGroups?.length
        ? <div className="tags" style={{ maxWidth: 'none' }}>{of.accessGroups.map((g) => <Link className="chip" key={g} to="/access-groups" search={{ q: g }}><bdi>{g}</bdi></Link>)}</div>
        : <p className="sm dim">{t('inNone')}</p>}
    </div>
  )
}
