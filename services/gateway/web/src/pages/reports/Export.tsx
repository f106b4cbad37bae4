import { Menu } from '@mantine/core'
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs'
import { useMutation } from '@tanstack/react-query'
import { serverNow } from '../../app/clock'
import type { ReportKind } from './emergency'
import { csvOf, fetchAll, jsonOf, save } from './exported'
import type { Search } from './search'
import { reports } from './text'

const names = { TERMINATION: 'terminations', FREEZE: 'freezes', LOCK: 'locks', LOCKDOWN: 'lockdowns' } as const

/** Saves what the filters leave, all pages of it. */
export function useExport(kind: ReportKind, search: Search) {
  return useMutation({
    mutationFn: async (type: 'csv' | 'json') => {
      const all = await fetchAll(kind, search)
      const day = new Date(serverNow()).toISOString().slice(0, 10)
      save(`portcullis-${names[kind]}-${day}`, type === 'csv' ? csvOf(kind, all) : jsonOf(all), type)
    },
  })
}

export function Export({ of }: { of: ReturnType<typeof useExport> }) {
  const t = reports.useTexts()
  return (
    <Menu position="bottom-end" width={220} trapFocus>
      <Menu.Target>
        <button type="button" className="btn" disabled={of.isPending}>
          <IconDownload className="i" stroke={1.6} aria-hidden />
          {t(of.isPending ? 'exporting' : 'export')}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('exportWhat')}</Menu.Label>
        <Menu.Item onClick={() => of.mutate('csv')}>{t('csv')}</Menu.Item>
        <Menu.Item onClick={() => of.mutate('json')}>JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
