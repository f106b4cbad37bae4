import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Overview } from '../pages/overview/Overview'
import { SignIn } from '../pages/sign-in/SignIn'
import { Broken } from './Broken'
import { Root } from './Root'

const root = createRootRoute({ component: Root })

// Search parameters are text: each page reads and writes those that it knows.
const validateSearch = (s: Record<string, unknown>) => s as { [key: string]: string | undefined }

function page<P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) {
  return createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load as never, name), validateSearch })
}

/** A page that one comes to first, so that it is there with the frame. */
function first<P extends string>(path: P, component: () => ReactNode) {
  return createRoute({ getParentRoute: () => root, path, component, validateSearch })
}

const routes = [
  first('/', Overview),
  first('/sign-in', SignIn),
  page('/sessions', () => import('../pages/sessions/Sessions'), 'Sessions'),
  page('/devices', () => import('../pages/devices/Devices'), 'Devices'),
  page('/access-groups', () => import('../pages/access-groups/AccessGroups'), 'AccessGroups'),
  page('/users', () => import('../pages/users/Users'), 'Users'),
  page('/tokens', () => import('../pages/tokens/Tokens'), 'Tokens'),
  page('/emergency/terminate', () => import('../pages/apply/Apply'), 'Terminate'),
  page('/emergency/freeze', () => import('../pages/apply/Apply'), 'Freeze'),
  page('/emergency/lock', () => import('../pages/apply/Apply'), 'Lock'),
  page('/emergency/lockdown', () => import('../pages/apply/Apply'), 'Lockdown'),
  page('/emergency/hold', () => import('../pages/hold/Hold'), 'Hold'),
  page('/emergencies/$id', () => import('../pages/live/Live'), 'Live'),
  page('/emergencies/$id/report', () => import('../pages/report/Report'), 'AfterAction'),
  page('/emergencies/$id/cancel', () => import('../pages/apply/Cancel'), 'Cancel'),
  page('/emergencies/$id/shorten', () => import('../pages/apply/Shorten'), 'Shorten'),
  page('/reports/terminations', () => import('../pages/reports/Reports'), 'Terminations'),
  page('/reports/freezes', () => import('../pages/reports/Reports'), 'Freezes'),
  page('/reports/locks', () => import('../pages/reports/Reports'), 'Locks'),
  page('/reports/lockdowns', () => import('../pages/reports/Reports'), 'Lockdowns'),
  page('/drills', () => import('../pages/drills/Drills'), 'Drills'),
  page('/drills/$id', () => import('../pages/drills/Report'), 'Report'),
  page('/audit', () => import('../pages/audit/Audit'), 'Audit'),
  page('/notifications', () => import('../pages/notifications/Notifications'), 'Notifications'),
  page('/policy', () => import('../pages/policy/Policy'), 'Policy'),
  page('/account', () => import('../pages/account/Account'), 'Account'),
]

const lost = createRoute({ getParentRoute: () => root, path: '$', beforeLoad: () => { throw redirect({ to: '/' }) } })

export const router = createRouter({ routeTree: root.addChildren([...routes, lost]), defaultPreload: 'intent', defaultErrorComponent: Broken })

/** Where a report of each kind is, by the letter that its ids begin with. */
export const reportOf = { T: '/reports/terminations', F: '/reports/freezes', K: '/reports/locks', L: '/reports/lockdowns' } as const

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
