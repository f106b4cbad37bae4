import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { useMay } from '../../app/me'
import { shell } from '../../app/text'
import { Confirm } from '../../parts/Confirm'
import { Head } from '../../parts/Head'
import { Choice, type Column, Disabled, Filters, List, Name, RowMenu, Search, Tags } from '../../parts/List'
import { RefusalNote } from '../../parts/Note'
import { nameOf, usePages, useParam, useSearchText } from '../../parts/paging'
import { Credential } from './Credential'
import { DeviceEditor } from './DeviceEditor'
import { deviceTexts } from './text'
import { Trust } from './Trust'

export type Device = Schemas['Device']
export const protocols = ['SSH', 'POSTGRES', 'TCP', 'KUBERNETES'] as const

const size = 50

type Doing = { what: 'create' } | { what: 'edit' | 'credential' | 'trust' | 'remove' | 'disable'; device: Device }

/** What people connect to. */
export function Devices() {
  const t = deviceTexts.useTexts()
  const may = useMay('System.Devices.Manage')
  const client = useQueryClient()
  const { text, type, settled } = useSearchText('q')
  const [protocol, setProtocol] = useParam('protocol')
  const [blocked, setBlocked] = useParam('blocked')
  const filter = [settled.trim() && `name=${nameOf(settled)}*`, protocol && `protocol=${protocol}`, blocked && `blocked=${blocked}`].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const [doing, start] = useState<Doing>()
  const query = useQuery({
    queryKey: ['devices', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/devices', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined } } })),
    placeholderData: keepPreviousData,
  })
  const enable = useMutation({
    mutationFn: (d: Device) => ask(api.PATCH('/v1/devices/{name}', { params: { path: { name: d.name ?? '' } }, body: { disabled: false } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['devices'] }),
  })
  return (
    <>
      <Head title={t('title')} text={t('text')}>
        {may && <button type="button" className="btn pri" onClick={() => start({ what: 'create' })}><IconPlus className="i" stroke={1.8} aria-hidden />{t('create')}</button>}
      </Head>
      <Filters>
        <Search label={t('search')} text={text} type={type} />
        <Choice label={t('protocol')} value={protocol} change={setProtocol} options={[['', t('anyProtocol')], ...protocols.map((p): [string, string] => [p, p])]} />
        <Choice label={t('blocked')} value={blocked} change={setBlocked} options={[['', t('anyState')], ['true', t('blocked')], ['false', t('unblocked')]]} />
      </Filters>
      <RefusalNote error={enable.error} />
      <List
        label={t('title')}
        rows={query.data?.devices}
        id={(d) => d.name ?? ''}
        name={(d) => d.name ?? ''}
        columns={useColumns(may ? (device) => start({ what: 'edit', device }) : undefined)}
        query={query}
        empty={filter ? t('noneSuch') : t('none')}
        pages={pages}
        size={size}
        next={query.data?.nextPageToken}
        off={(d) => d.disabled ?? false}
        actions={may ? (d) => <Actions of={d} start={start} enable={() => enable.mutate(d)} /> : undefined}
      />
      {doing && <Doing_ of={doing} close={() => start(undefined)} />}
    </>
  )
}

function Actions({ of, start, enable }: { of: Device; start: (doing: Doing) => void; enable: () => void }) {
  const t = deviceTexts.useTexts()
  const s = shell.useTexts()
  const on = (what: 'edit' | 'credential' | 'trust' | 'remove' | 'disable') => () => start({ what, device: of })
  return (
    <div>
      <button type="button" className="btn sm" aria-label={`${s('edit')}: ${of.name}`} onClick={on('edit')}>{s('edit')}</button>
      <RowMenu
        name={of.name ?? ''}
        acts={[
          { text: t('setCredential'), act: on('credential') },
          { text: t('trust'), act: on('trust'), hidden: of.protocol !== 'SSH' },
          { text: t('disable'), act: on('disable'), hidden: of.disabled },
          { text: t('enable'), act: enable, hidden: !of.disabled },
          { text: t('remove'), act: on('remove') },
        ]}
      />
    </div>
  )
}

function Doing_({ of, close }: { of: Doing; close: () => void }) {
  const t = deviceTexts.useTexts()
  const client = useQueryClient()
  if (of.what === 'create') return <DeviceEditor close={close} />
  if (of.what === 'edit') return <DeviceEditor device={of.device} close={close} />
  if (of.what === 'credential') return <Credential device={of.device} close={close} />
  if (of.what === 'trust') return <Trust device={of.device} close={close} />
  const path = { name: of.device.name ?? '' }
  const removes = of.what === 'remove'
  return (
    <Confirm
      title={t(removes ? 'removeTitle' : 'disableTitle', path)}
      text={t(removes ? 'removeText' : 'disableText')}
      button={t(removes ? 'remove' : 'disable')}
      act={() => ask(removes ? api.DELETE('/v1/devices/{name}', { params: { path } }) : api.PATCH('/v1/devices/{name}', { params: { path }, body: { disabled: true } }))}
      done={() => void client.invalidateQueries({ queryKey: ['devices'] })}
      close={close}
    />
  )
}

function useColumns(open?: (d: Device) => void): Column<Device>[] {
  const t = deviceTexts.useTexts()
  return [
    { head: t('name'), cell: (d) => <Name name={d.name ?? ''} below={Object.entries(d.labels ?? {}).map(([k, v]) => `${k}=${v}`).join(', ')} open={open && (() => open(d))} /> },
    { head: t('host'), cell: (d) => <bdi>{d.host?.includes(':') ? `[${d.host}]` : d.host}:{d.port}</bdi> },
    { head: t('protocol'), cell: (d) => <>{d.protocol} {d.disabled && <Disabled />}</> },
    { head: t('groups'), cell: (d) => <Tags of={d.accessGroups ?? []} /> },
    { head: t('key'), cell: (d) => (d.protocol !== 'SSH' ? <span className="dim">{t('notNeeded')}</span> : d.hostKey ? <span title={d.hostKeyFingerprint}>{t('pinned')}</span> : <b className="m" title={t('notPinnedWhy')}>{t('notPinned')}</b>) },
    { head: t('credential'), cell: (d) => (d.credentialSet ? t('set') : <span className="dim">{t('notSet')}</span>) },
  ]
}
