import { Menu, useMantineColorScheme } from '@mantine/core'
import IconActivity from '@tabler/icons-react/dist/esm/icons/IconActivity.mjs'
import IconAdjustments from '@tabler/icons-react/dist/esm/icons/IconAdjustmentsHorizontal.mjs'
import IconBell from '@tabler/icons-react/dist/esm/icons/IconBell.mjs'
import IconDashboard from '@tabler/icons-react/dist/esm/icons/IconDashboard.mjs'
import IconKey from '@tabler/icons-react/dist/esm/icons/IconKey.mjs'
import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconMenu from '@tabler/icons-react/dist/esm/icons/IconMenu2.mjs'
import IconMoon from '@tabler/icons-react/dist/esm/icons/IconMoon.mjs'
import IconReceipt from '@tabler/icons-react/dist/esm/icons/IconReceipt.mjs'
import IconServer from '@tabler/icons-react/dist/esm/icons/IconServer2.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import IconStack from '@tabler/icons-react/dist/esm/icons/IconStack2.mjs'
import IconSun from '@tabler/icons-react/dist/esm/icons/IconSun.mjs'
import IconTarget from '@tabler/icons-react/dist/esm/icons/IconTarget.mjs'
import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconUsers from '@tabler/icons-react/dist/esm/icons/IconUsers.mjs'
import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { useNow } from './clock'
import { Find } from './Find'
import { countdown, time } from './format'
import { Keys } from './keys'
import { useIsAdministrator, useMay, useMe } from './me'
import { lockdownUntil, ongoing, usePosture } from './posture'
import { useCrumbs } from './title'
import { shell } from './text'

const daily = [
  ['/', 'overview', IconDashboard],
  ['/sessions', 'sessions', IconActivity],
  ['/devices', 'devices', IconServer],
  ['/access-groups', 'groups', IconStack],
  ['/users', 'users', IconUsers],
  ['/tokens', 'tokens', IconKey],
] as const
const reports = [
  ['/reports/terminations', 'terminations', IconTarget],
  ['/reports/freezes', 'freezing', IconSnowflake],
  ['/reports/lockdowns', 'lockdown', IconLock],
] as const
const evidence = [['/audit', 'audit', IconReceipt]] as const
const settings = [
  ['/notifications', 'notifications', IconBell],
  ['/policy', 'policy', IconAdjustments],
] as const

export const panel = [
  ['/emergency/terminate', 'terminate', IconTarget],
  ['/emergency/freeze', 'freezing', IconSnowflake],
  ['/emergency/lockdown', 'lockdown', IconLock],
] as const

export function Brand() {
  return (
    <span className="acc brandmark">
      <svg viewBox="0 0 24 24" fill="none" aria-hidden="true" stroke="currentColor" strokeLinecap="round">
        <path d="M3.5 21V10a8.5 8.5 0 0 1 17 0v11" strokeWidth="2" />
        <path d="M8.3 5.5V15M12 4v12.5M15.7 5.5V15" strokeWidth="2" />
        <path d="M5 10.5h14" strokeWidth="1.6" />
      </svg>
    </span>
  )
}

/** The frame of every page of somebody who is signed in. */
export function Shell({ children }: { children: ReactNode }) {
  const t = shell.useTexts()
  const [open, setOpen] = useState(false)
  const at = useLocation().pathname
  useEffect(() => setOpen(false), [at])
  const until = lockdownUntil(usePosture().posture, useNow())
  return (
    <div className={`app${until ? ' locked' : ''}${open ? ' nav' : ''}`}>
      <a className="skip" href="#main">{t('skip')}</a>
      <Side />
      <Top menu={() => setOpen(!open)} open={open} />
      {open && <button type="button" className="veil" aria-label={t('closeMenu')} onClick={() => setOpen(false)} />}
      <main className="main" id="main" tabIndex={-1}>
        <FrozenNote />
        {children}
      </main>
      <Keys />
    </div>
  )
}

function Side() {
  const t = shell.useTexts()
  const group = (rows: readonly (readonly [string, Parameters<typeof t>[0], typeof IconLock])[]) =>
    rows.map(([to, key, Icon]) => (
      <Link key={to} to={to} activeOptions={{ exact: to === '/' }} activeProps={{ className: 'on', 'aria-current': 'page' }}>
        <Icon className="i" stroke={1.6} aria-hidden />
        {t(key)}
      </Link>
    ))
  return (
    <nav className="side" id="side" aria-label={t('main')}>
      <div className="brand">
        <Brand />
        Portcullis
      </div>
      {group(daily)}
      <h2 className="h3">{t('reports')}</h2>
      {group(reports)}
      <h2 className="h3">{t('evidence')}</h2>
      {group(evidence)}
      <h2 className="h3">{t('settings')}</h2>
      {group(settings)}
      <Person />
    </nav>
  )
}

export const initials = (name: string) => {
  const words = name.trim().split(/[\s._-]+/)
  return ((words[0]?.[0] ?? '') + (words.length > 1 ? (words.at(-1)?.[0] ?? '') : '')).toUpperCase()
}

function Person() {
  const me = useMe()
  const t = shell.useTexts()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const dark = colorScheme === 'dark' || (colorScheme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  const name = me.displayName || me.name || ''
  return (
    <div className="me">
      <span className="av" aria-hidden>{initials(name)}</span>
      <Link to="/account" className="grow person" aria-label={t('account', { name })}>
        <span className="sm m cut"><bdi>{name}</bdi></span>
        <span className="xs dim cut">{me.roles?.join(', ') || t('noRole')}</span>
      </Link>
      <button type="button" className="icb" aria-label={dark ? t('light') : t('dark')} onClick={() => setColorScheme(dark ? 'light' : 'dark')}>
        {dark ? <IconSun className="i" stroke={1.6} /> : <IconMoon className="i" stroke={1.6} />}
      </button>
    </div>
  )
}

function Top({ menu, open }: { menu: () => void; open: boolean }) {
  const t = shell.useTexts()
  const crumbs = useCrumbs()
  return (
    <header className="top">
      <button type="button" className="icb burger" aria-label={t('menu')} aria-expanded={open} aria-controls="side" onClick={menu}>
        <IconMenu className="i l" stroke={1.6} />
      </button>
      <div className="crumb grow cut">
        {crumbs.map((crumb, i) => (
          <span key={crumb}>{i === crumbs.length - 1 ? <b>{crumb}</b> : <>{crumb}<i>/</i></>}</span>
        ))}
      </div>
      <PosturePill />
      <Find />
      <Link to="/notifications" className="icb bell" aria-label={t('notifications')}>
        <IconBell className="i" stroke={1.6} />
      </Link>
      <Panel />
    </header>
  )
}

function PosturePill() {
  const t = shell.useTexts()
  const now = useNow()
  const { posture, lostSince } = usePosture()
  const until = lockdownUntil(posture, now)
  const freezes = ongoing(posture, 'FREEZE', now).length
  if (lostSince) return <span className="pill lost" role="status">{t('notLive', { time: time(lostSince) })}</span>
  if (until) return <span className="pill shut" role="timer">{t('lockedFor', { left: countdown(until - now) })}</span>
  if (freezes) return <span className="pill froze">{t('freezesOn', { count: freezes })}</span>
  return <span className="pill">{t('allOpen')}</span>
}

function Panel() {
  const t = shell.useTexts()
  const go = useNavigate()
  const [open, setOpen] = useState(false)
  const may = useMay('System.EmergencyPanel.Control')
  useEffect(() => {
    const show = () => setOpen(true)
    document.addEventListener('portcullis:panel', show)
    return () => document.removeEventListener('portcullis:panel', show)
  }, [])
  if (!may) return null
  return (
    <Menu opened={open} onChange={setOpen} position="bottom-end" width={240} trapFocus>
      <Menu.Target>
        <button type="button" className="btn ink panel" aria-label={t('panel')}>
          <IconAlert className="i" stroke={1.8} aria-hidden />
          <span>{t('panel')}</span>
          <kbd aria-hidden>g e</kbd>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {panel.map(([to, key, Icon]) => (
          <Menu.Item key={to} leftSection={<Icon className="i" stroke={1.6} />} onClick={() => void go({ to })}>
            {t(key)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

/** Tells a person which of their devices a freeze closes, on whatever page they are (C3). */
function FrozenNote() {
  const t = shell.useTexts()
  const now = useNow()
  const { posture } = usePosture()
  const administrator = useIsAdministrator()
  const frozen = posture?.frozenDevices ?? []
  const until = Math.max(0, ...ongoing(posture, 'FREEZE', now).map((e) => Date.parse(e.endTime ?? '')))
  if (administrator || !until || frozen.length === 0) return null
  return (
    <div className="note frozen" role="status">
      <IconSnowflake className="i" stroke={1.6} aria-hidden />
      <div>
        <b>{t('frozenTitle', { count: frozen.length, until: time(until) })}</b> {t('frozenText')} <bdi>{frozen.slice(0, 8).join(', ')}</bdi>
        {frozen.length > 8 && ` ${t('andMore', { count: frozen.length - 8 })}`}
      </div>
      <span className="left" role="timer">{countdown(until - now)}</span>
    </div>
  )
}
