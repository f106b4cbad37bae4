import { CopyButton as Copier } from '@mantine/core'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconCopy from '@tabler/icons-react/dist/esm/icons/IconCopy.mjs'
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs'
import { useQuery } from '@tanstack/react-query'
import { api, ask } from '../../api/client'
import { shell } from '../../app/text'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { save } from './data'
import { words } from './text'

export const recordFile = 'portcullis-audit.ndjson'
const command = `portcullis audit verify ${recordFile}`
const refreshEvery = 10_000

export function CopyButton({ text, label }: { text: string; label: string }) {
  const say = shell.useTexts()
  return (
    <Copier value={text} timeout={2000}>
      {({ copied, copy }) => (
        <button type="button" className="btn sm copy" aria-label={label} onClick={copy}>
          {copied ? <IconCheck className="i s" stroke={2} aria-hidden /> : <IconCopy className="i s" stroke={1.6} aria-hidden />}
          <span role="status">{copied ? say('copied') : say('copy')}</span>
        </button>
      )}
    </Copier>
  )
}

/** The signed head, and how to check all of it without trusting this server. */
export function Chain() {
  const t = words.useTexts()
  const { data, error, refetch } = useQuery({ queryKey: ['audit', 'checkpoint'], queryFn: () => ask(api.GET('/v1/audit/checkpoint')), refetchInterval: refreshEvery })
  return (
    <section className="card chain" aria-labelledby="chain">
      <div>
        <h2 id="chain">{t('chain')} <span className="sm dim">{t('chainText')}</span></h2>
        {error && <RefusalNote error={error} again={() => void refetch()} />}
        {!data && !error && <Skeleton rows={2} height={18} />}
        {data && (
          <dl className="headof">
            <div><dt>{t('revision')}</dt><dd className="mono">{data.revision}</dd></div>
            <div><dt>{t('hash')}</dt><dd className="mono">{data.hash}</dd></div>
          </dl>
        )}
        {data?.note && (
          <p className="hint keep">
            <button type="button" className="btn sm" onClick={() => save(`portcullis-checkpoint-${data.revision}.txt`, data.note ?? '', 'text/plain')}>
              <IconDownload className="i s" stroke={1.6} aria-hidden />{t('keepNote')}
            </button>
            <span>{t('keepText')}</span>
          </p>
        )}
      </div>
      <div>
        <h2>{t('verify')}</h2>
        <div className="command"><code>{command}</code><CopyButton text={command} label={t('copyCommand')} /></div>
        <p className="hint">{t('verifyText')}</p>
      </div>
    </section>
  )
}
