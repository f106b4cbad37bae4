import { Drawer } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useFocusBack } from '../../app/focus'
import { Inbox } from './Inbox'
import { inboxTexts } from './inbox-text'

/** The inbox over whatever page one is on. */
export function InboxDrawer({ close }: { close: () => void }) {
  const t = inboxTexts.useTexts()
  useFocusBack()
  return (
    <Drawer
      opened
      onClose={close}
      position="right"
      size="min(460px, 100%)"
      title={<span className="b">{t('title')}</span>}
      closeButtonProps={{ 'aria-label': t('close') }}
      styles={{ body: { padding: 0 }, header: { padding: '14px 20px' } }}
      transitionProps={{ duration: 120 }}
    >
      <Inbox leave={close} />
      <p className="sm whole"><Link to="/notifications" search={{ tab: 'inbox' }} onClick={close}>{t('whole')}</Link></p>
    </Drawer>
  )
}
