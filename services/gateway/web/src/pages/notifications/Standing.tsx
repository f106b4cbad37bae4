import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import { dateTime } from '../../app/format'
import { accountTexts } from './accounts-text'
import { warned } from './text'

/** How reaching a server went last, or what keeps it from working. */
export function Standing({ of }: { of: { lastError?: string; lastErrorTime?: string; warnings?: string[] } }) {
  const t = accountTexts.useTexts()
  const warning = of.warnings?.[0]
  if (!of.lastError && !warning) return <span className="mid">{t('notYet')}</span>
  return (
    <div className="standing">
      <span className="chip unk"><IconAlert className="i" stroke={1.8} aria-hidden />{of.lastError ? t('trouble') : t('password')}</span>
      <div className="xs mid">{of.lastError ? <bdi lang="en">{of.lastError}</bdi> : warned(warning ?? '')} {of.lastErrorTime && <span className="dim nw">{dateTime(of.lastErrorTime)}</span>}</div>
    </div>
  )
}
