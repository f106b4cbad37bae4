import { Drawer } from '@mantine/core'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useRef } from 'react'
import { api, ask } from '../../api/client'
import { useNow } from '../../app/clock'
import { number } from '../../app/format'
import { useMay } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { asOf, cancellable, fetchEmergency, fetchReceipts, shortenable } from './emergency'
import { Facts } from './Facts'
import { reports } from './text'

const devicesAtOnce = 100
const refreshEvery = 3000

/** What was shown last, for as long as the drawer takes to close; it must stay to give the focus back. */
function useShown(id: string | undefined): string {
  const last = useRef('')
  if (id) last.current = id
  return last.current
}

function Side({ open, title, close, children }: { open: boolean; title: string; close: () => void; children: ReactNode }) {
  const t = reports.useTexts()
  return (
    <Drawer opened={open} onClose={close} title={title} position="right" size="md" closeButtonProps={{ 'aria-label': t('closeDrawer') }} classNames={{ title: 'drawer-title', content: 'drawer' }}>
      {children}
    </Drawer>
  )
}

/** All of one emergency. */
export function DetailsDrawer({ id: asked, close, devices }: { id: string | undefined; close: () => void; devices?: () => void }) {
  const t = reports.useTexts()
  const now = useNow()
  const id = useShown(asked)
  const open = asked !== undefined
  const may = useMay('System.EmergencyPanel.Control')
  const reads = useMay('System.Audit.Read')
  const one = useQuery({ queryKey: ['emergency', id], queryFn: () => fetchEmergency(id), refetchInterval: refreshEvery, enabled: open })
  const doors = useQuery({ queryKey: ['emergency', id, 'receipts'], queryFn: () => fetchReceipts(id, 0), refetchInterval: refreshEvery, enabled: open })
  const e = one.data && asOf(one.data, now)
  return (
    <Side open={open} title={t('detailsOf', { id })} close={close}>
      {one.isError && <RefusalNote error={one.error} again={() => void one.refetch()} />}
      {one.isPending && <Skeleton />}
      {e && (
        <>
          <div className="row wrap">
            <StatusChip of={e} />
            {doors.data && <span className="sm mid">{t('doors')}: {t('doorsText', { confirmed: number(doors.data.confirmed), all: number(doors.data.all) })}</span>}
          </div>
          <Facts of={e} />
          <div className="row wrap acts">
            <Link className="btn pri" to="/emergencies/$id" params={{ id }}>{t('live')}</Link>
            {reads && <Link className="btn" to="/emergencies/$id/report" params={{ id }}>{t('whole')}</Link>}
            {devices && <button type="button" className="btn" onClick={devices}>{t('devices')}</button>}
            {may && shortenable(e) && <Link className="btn" to="/emergencies/$id/shorten" params={{ id }}>{t('shorten')}</Link>}
            {may && cancellable(e) && <Link className="btn" to="/emergencies/$id/cancel" params={{ id }}>{t('cancelOf', { id })}</Link>}
          </div>
        </>
      )}
    </Side>
  )
}

/** What a freeze blocks, or blocked: a page at a time, for a group may hold ten thousand. */
export function DevicesDrawer({ id: asked, close }: { id: string | undefined; close: () => void }) {
  const t = reports.useTexts()
  const now = useNow()
  const id = useShown(asked)
  const open = asked !== undefined
  const one = useQuery({ queryKey: ['emergency', id], queryFn: () => fetchEmergency(id), enabled: open })
  const list = useInfiniteQuery({
    queryKey: ['emergency', id, 'devices'],
    queryFn: ({ pageParam }) => ask(api.GET('/v1/freezes/{id}/devices', { params: { path: { id }, query: { pageSize: devicesAtOnce, pageToken: pageParam } } })),
    enabled: open,
    initialPageParam: '',
    getNextPageParam: (last) => last.nextPageToken || undefined,
  })
  const devices = list.data?.pages.flatMap((p) => p.devices ?? []) ?? []
  const e = one.data && asOf(one.data, now)
  return (
    <Side open={open} title={t('devicesOf', { id })} close={close}>
      {list.isError && <RefusalNote error={list.error} again={() => void list.refetch()} />}
      {list.isPending && <Skeleton />}
      {list.data && e && devices.length === 0 && <NoDevices of={e} />}
      {devices.length > 0 && (
        <>
          <p className="sm mid">
            <b className="b">{list.hasNextPage ? t('devicesMore', { n: number(devices.length), all: number(Math.max(devices.length, e?.blockedDevices ?? 0)) }) : t('devicesShown', { count: devices.length, n: number(devices.length) })}</b>{' '}
            {e && t(e.status === 'ONGOING' ? 'blocksNow' : e.status === 'PENDING' ? 'willBlock' : 'blocked')}
          </p>
          <table className="blocked">
            <thead><tr><th>{t('device')}</th><th>{t('accessGroups')}</th></tr></thead>
            <tbody>
              {devices.map((d) => (
                <tr key={d.name}>
                  <td><Link to="/devices" search={{ q: d.name }}><bdi>{d.name}</bdi></Link></td>
                  <td className="mid"><bdi>{d.accessGroups?.join(', ')}</bdi></td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.hasNextPage && (
            <button type="button" className="btn" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t('showMore')}</button>
          )}
        </>
      )}
    </Side>
  )
}

function NoDevices({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  if (of.status === 'CANCELLED' && !of.started) return <p className="mid">{t('noDevicesEver')}</p>
  if (of.status === 'ENDED' || of.status === 'CANCELLED') return <p className="mid">{t('noDevicesThen')}</p>
  return <p className="mid">{t('noDevices')} <Link to="/access-groups">{t('groupsLink')}</Link></p>
}
