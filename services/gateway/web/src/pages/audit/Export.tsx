import { Menu } from '@mantine/core'
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs'
import { useEffect, useRef, useState } from 'react'
import { serverNow } from '../../app/clock'
import { RefusalNote } from '../../parts/Note'
import { recordFile } from './Chain'
import { csvOf, everything, jsonOf, save, type Wanted } from './data'
import { words } from './text'

const kinds = { csv: ['text/csv', csvOf], json: ['application/json', jsonOf] } as const
type State = { count?: number; done?: string; error?: unknown; stopped?: boolean }

/** A file of what the filter selects, read page by page, or the whole record as stored. */
export function Export({ wanted }: { wanted: Wanted }) {
  const t = words.useTexts()
  const [state, setState] = useState<State>({})
  const stop = useRef<AbortController>(undefined)
  useEffect(() => () => stop.current?.abort(), [])
  const run = async (kind: keyof typeof kinds) => {
    stop.current?.abort()
    const { signal } = (stop.current = new AbortController())
    setState({ count: 0 })
    try {
      const all = await everything(wanted, signal, (count) => setState({ count }))
      const [type, write] = kinds[kind]
      const file = `portcullis-audit-${new Date(serverNow()).toISOString().slice(0, 19).replaceAll(':', '')}.${kind}`
      save(file, write(all), type)
      setState({ done: t('exported', { count: all.length, file }) })
    } catch (error) {
      setState(signal.aborted ? { stopped: true } : { error })
    }
  }
  return (
    <div className="export">
      {state.count !== undefined && (
        <>
          <span className="sm mid" role="status">{t('exporting', { count: state.count })}</span>
          <button type="button" className="btn sm" onClick={() => stop.current?.abort()}>{t('stop')}</button>
        </>
      )}
      {state.done && <span className="sm mid" role="status">{state.done}</span>}
      {state.stopped && <span className="sm mid" role="status">{t('stopped')}</span>}
      {state.error !== undefined && <RefusalNote error={state.error} />}
      <Menu position="bottom-end" width={300}>
        <Menu.Target>
          <button type="button" className="btn" disabled={state.count !== undefined}><IconDownload className="i" stroke={1.6} aria-hidden />{t('export')}</button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void run('csv')}>{t('asCsv')}</Menu.Item>
          <Menu.Item onClick={() => void run('json')}>{t('asJson')}</Menu.Item>
          <Menu.Item component="a" href="/v1/audit:export" download={recordFile}>{t('raw')}<span className="xs dim block">{t('rawText')}</span></Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  )
}
