import { useTitle } from './title'
import { shell } from './text'

/** Where a page can't be shown at all: its code did not load, or it has a fault. The plain panel does without both. */
export function Broken({ error }: { error: unknown }) {
  const t = shell.useTexts()
  useTitle(t('broken'))
  return (
    <div className="card broken" role="alert">
      <h1>{t('broken')}</h1>
      <p>{t('brokenText')} <a href="/plain">{t('plain')}</a></p>
      <p className="reason">{String(error)}</p>
      <button type="button" className="btn" onClick={() => location.reload()}>{t('retry')}</button>
    </div>
  )
}
