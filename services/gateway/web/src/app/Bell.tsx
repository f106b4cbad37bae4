import IconBell from '@tabler/icons-react/dist/esm/icons/IconBell.mjs'
import { lazy, Suspense, useState } from 'react'
import { bellTexts } from './bell-text'
import './bell.css'
import { number } from './format'
import { useInbox } from './inbox'

const InboxDrawer = lazy(() => import('../pages/notifications/InboxDrawer').then((m) => ({ default: m.InboxDrawer })))

const most = 99

/** What one was told on the screen: how many are unread, at once, and what they say. */
export function Bell() {
  const t = bellTexts.useTexts()
  const { unread, latest, waited } = useInbox()
  const [open, setOpen] = useState(false)
  const said = latest ? t('came', { subject: latest.subject }) : waited ? t('waiting', { count: waited }) : ''
  return (
    <>
      <button type="button" className="icb bell" aria-label={unread ? t('unread', { count: unread }) : t('inbox')} aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(true)}>
        <IconBell className="i" stroke={1.6} aria-hidden />
        {unread > 0 && <span className="count" aria-hidden>{unread > most ? `${number(most)}+` : number(unread)}</span>}
      </button>
      <span className="sr" role="status">{said}</span>
      {open && <Suspense><InboxDrawer close={() => setOpen(false)} /></Suspense>}
    </>
  )
}
