import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import { useBlocker } from '@tanstack/react-router'
import { Modal } from '@mantine/core'
import { dateTime } from '../../app/format'
import { type Method, methodIcons } from './data'
import { warned, words } from './text'

/** A method in a word, with its icon. */
export function MethodName({ of, only }: { of: Method | undefined; only?: boolean }) {
  const t = words.useTexts()
  if (!of || !(of in methodIcons)) return <span className="dim">–</span>
  const Icon = methodIcons[of]
  return (
    <span className="mth" title={only ? t(of) : undefined}>
      <Icon className="i s" stroke={1.6} aria-hidden />
      <span className={only ? 'sr' : undefined}>{t(of)}</span>
    </span>
  )
}

/** What keeps a thing from working as it stands. */
export function Warnings({ of }: { of: string[] | undefined }) {
  if (!of?.length) return null
  return (
    <div className="note caution">
      <IconAlert className="i" stroke={1.6} aria-hidden />
      <ul className="grow">{of.map((one) => <li key={one}><bdi>{warned(one)}</bdi></li>)}</ul>
    </div>
  )
}

/** How the last attempt to reach a server went, where it failed. The words are the server's own. */
export function LastError({ error, at }: { error?: string; at?: string }) {
  const t = words.useTexts()
  if (!error) return null
  return (
    <div className="note caution">
      <IconAlert className="i" stroke={1.6} aria-hidden />
      <div><b>{t('lastError')}</b>{at && <span className="dim">, {dateTime(at)}</span>}: <bdi lang="en">{error}</bdi></div>
    </div>
  )
}

/** Asks before something that isn't saved is left. */
export function Unsaved({ dirty }: { dirty: () => boolean }) {
  const t = words.useTexts()
  const blocker = useBlocker({ shouldBlockFn: dirty, enableBeforeUnload: dirty, withResolver: true })
  if (blocker.status !== 'blocked') return null
  return (
    <Modal opened onClose={blocker.reset} title={<span className="b">{t('unsavedTitle')}</span>} withCloseButton={false} transitionProps={{ duration: 120 }}>
      <div className="confirm">
        <p className="mid">{t('unsaved')}</p>
        <div className="btns">
          <button type="button" className="btn" onClick={blocker.proceed}>{t('leave')}</button>
          <button type="button" className="btn pri" data-autofocus onClick={blocker.reset}>{t('stay')}</button>
        </div>
      </div>
    </Modal>
  )
}
