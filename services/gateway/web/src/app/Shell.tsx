import { useMantineColorScheme } from '@mantine/core'
import IconActivity from '@tabler/icons-react/dist/esm/icons/IconActivity.mjs'
import IconAdjustments from '@tabler/icons-react/dist/esm/icons/IconAdjustmentsHorizontal.mjs'
import IconBell from '@tabler/icons-react/dist/esm/icons/IconBell.mjs'
import IconDashboard from '@tabler/icons-react/dist/esm/icons/IconDashboard.mjs'
import IconDrill from '@tabler/icons-react/dist/esm/icons/IconRun.mjs'
import IconKey from '@tabler/icons-react/dist/esm/icons/IconKey.mjs'
import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconShieldLock from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs'
import IconMenu from '@tabler/icons-react/dist/esm/icons/IconMenu2.mjs'
import IconMoon from '@tabler/icons-react/dist/esm/icons/IconMoon.mjs'
import IconOff from '@tabler/icons-react/dist/esm/icons/IconPlugConnectedX.mjs'
import IconReceipt from '@tabler/icons-react/dist/esm/icons/IconReceipt.mjs'
import IconServer from '@tabler/icons-react/dist/esm/icons/IconServer2.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import IconStack from '@tabler/icons-react/dist/esm/icons/IconStack2.mjs'
import IconSun from '@tabler/icons-react/dist/esm/icons/IconSun.mjs'
import IconTarget from '@tabler/icons-react/dist/esm/icons/IconTarget.mjs'
import IconUsers from '@tabler/icons-react/dist/esm/icons/IconUsers.mjs'
import { Link, useLocation } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { Arrival } from './Arrival'
import { Bell } from './Bell'
import { useNow } from './clock'
import { DrillMark } from './DrillMark'
import { Find } from './Find'
import { countdown, dateTime, time } from './format'
import { Keys } from './keys'
import { useMe } from './me'
import { FrozenNote, MfaNote, TroubleNote } from './notes'
import { Panel } from './Panel'
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
  ['/reports/locks', 'locks', IconShieldLock],
  ['/reports/lockdowns', 'lockdown', IconLock],
  ['/drills', 'drills', IconDrill],
] as const
const evidence = [['/audit', 'audit', IconReceipt]] as const
const settings = [
  ['/notifications', 'notifications', IconBell],
  ['/policy', 'policy', IconAdjustments],
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
  const at = useLocation().pathname
  const [open, setOpen] = useDrawer(at)
  const until = lockdownUntil(usePosture().posture, useNow())
  return (
    <div className={`app${until ? ' locked' : ''}${open ? ' nav' : ''}`}>
      <a className="skip" href="#main">{t('skip')}</a>
      <Side />
      <Top menu={() => setOpen(!open)} open={open} />
      {open && <button type="button" className="veil" aria-label={t('closeMenu')} onClick={() => setOpen(false)} />}
      <main className="main" id="main" tabIndex={-1} inert={open}>
        <TroubleNote at={at} />
        <FrozenNote />
        <DrillMark at={at} />
        <MfaNote at={at} />
        {children}
      </main>
      <Arrival at={at} />
      <Keys />
    </div>
  )
}

/** The menu of a narrow window: the focus goes into it, and Esc leads back to its button. */
function useDrawer(at: string) {
  const [open, setOpen] = useState(false)
  useEffect(() => setOpen(false), [at])
  useEffect(() => {
    if (!open) return
    document.querySelector<HTMLElement>('#side a')?.focus()
    const press = (e: KeyboardEvent) => {
      if (e.key !== 'Escape') return
      setOpen(false)
      document.querySelector<HTMLElement>('.burger')?.focus()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [open])
  return [open, setOpen] as const
}

type Rows = readonly (readonly [string, Parameters<ReturnType<typeof shell.useTexts>>[0], typeof IconLock])[]

function Side() {
  const t = shell.useTexts()
  return (
    <nav className="side" id="side" aria-label={t('main')}>
      <div className="brand">
        <Brand />
        Portcullis
      </div>
      <Group rows={daily} />
      <Group name="reports" rows={reports} />
      <Group name="evidence" rows={evidence} />
      <Group name="settings" rows={settings} />
      <Person />
    </nav>
  )
}

function Group({ name, rows }: { name?: 'reports' | 'evidence' | 'settings'; rows: Rows }) {
  const t = shell.useTexts()
  return (
    <>
      {name && <p className="h3" id={`side-${name}`}>{t(name)}</p>}
      <ul aria-labelledby={name && `side-${name}`}>
        {rows.map(([to, key, Icon]) => (
          <li key={to}>
            <Link to={to} activeOptions={{ exact: to === '/' }} activeProps={{ className: 'on', 'aria-current': 'page' }}>
              <Icon className="i" stroke={1.6} aria-hidden />
              {t(key)}
            </Link>
          </li>
        ))}
      </ul>
    </>
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
        {dark ? <IconSun className="i" stroke={1.6} aria-hidden /> : <IconMoon className="i" stroke={1.6} aria-hidden />}
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
        <IconMenu className="i l" stroke={1.6} aria-hidden />
      </button>
      <div className="crumb grow cut">
        {crumbs.map((crumb, i) => (
          <span key={crumb}>{i === crumbs.length - 1 ? <b>{crumb}</b> : <>{crumb}<i>/</i></>}</span>
        ))}
      </div>
      <PosturePill />
      <Find />
      <Bell />
      <Panel />
    </header>
  )
}

const near = 12 * 3600_000 // in milliseconds: the hour alone says when

/** What is on. The figures are for the eye; whoever listens is told once, when it changes. */
function PosturePill() {
  const t = shell.useTexts()
  const now = useNow()
  const { posture, lostSince } = usePosture()
  const until = lockdownUntil(posture, now)
  const freezes = ongoing(posture, 'FREEZE', now).length
  const locks = ongoing(posture, 'LOCK', now).length
  const [look, Icon, shown, said] = lostSince ? [' lost', IconOff, t('notLive', { time: time(lostSince) })]
    : until ? [' shut', IconLock, t('lockedFor', { left: countdown(until - now) }), t('lockedUntil', { time: until - now < near ? time(until) : dateTime(until) })]
    : freezes ? [' froze', IconSnowflake, t('freezesOn', { count: freezes })]
    : locks ? [' froze', IconShieldLock, t('locksOn', { count: locks })]
    : ['', IconOpen, t('allOpen')]
  return (
    <>
      <span className={`pill${look}`} aria-hidden><Icon className="i s" stroke={1.8} />{shown}</span>
      <span className="sr" role="status">{said ?? shown}</span>
    </>
  )
}

/** A gate that is up. */
function IconOpen() {
  return <svg className="i s" viewBox="0 0 20 20"><path d="M3.5 17V9a6.5 6.5 0 0 1 13 0v8M7.5 4v3.5M10 3v5M12.5 4v3.5" /></svg>
}
