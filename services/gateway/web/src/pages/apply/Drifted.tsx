import { number } from '../../app/format'
import { Refusal } from '../../api/client'
import { drifted } from './drifted-text'

const counts = ['sessions', 'devices', 'accessGroups', 'signIns', 'tokens', 'administrators'] as const

/** What has moved since the preview, where that is why nothing was applied. */
export function Drifted({ error }: { error: unknown }) {
  const t = drifted.useTexts()
  if (!(error instanceof Refusal) || error.reason !== 'PREVIEW_DRIFTED') return null
  const { details } = error
  const moved = counts.filter((name) => details[`${name}Was`] !== undefined)
  return (
    <div className="note" role="status">
      <div>
        {moved.length > 0 && <b>{t('changed')}: </b>}
        {moved.map((name, i) => (
          <span key={name}>{i > 0 && '; '}{t(name)} {t('fromTo', { was: number(Number(details[`${name}Was`])), is: number(Number(details[`${name}Is`])) })}</span>
        ))}
        {moved.length > 0 && '. '}{details.unreachableConnectors !== undefined && t('silent', { names: details.unreachableConnectors })}{t('again')}
      </div>
    </div>
  )
}
