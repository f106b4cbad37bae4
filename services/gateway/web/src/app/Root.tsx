import { Navigate, Outlet, useLocation, useRouterState } from '@tanstack/react-router'
import { Fragment, lazy, Suspense } from 'react'
import { useNow } from './clock'
import { calls } from '../pages/sign-in/useEnter'
import { keptWish } from '../pages/sign-in/Provider'
import { useIsAdministrator, useLetThrough, useMaybeMe, type User } from './me'
import { lockdownUntil, usePosture } from './posture'
import { Shell } from './Shell'

const Blocked = lazy(() => import('../pages/blocked/Blocked').then((m) => ({ default: m.Blocked })))

/** Decides what a person sees at all: the sign-in, the lockdown, or the page that they asked for. */
export function Root() {
  const me = useMaybeMe()
  const at = useLocation()
  // The page that the outlet has: it follows the location once its code is there.
  const has = useRouterState({ select: (s) => s.matches.at(-1)?.routeId })
  const administrator = useIsAdministrator()
  const { posture, lostSince } = usePosture()
  const until = lockdownUntil(posture, useNow())
  const signsIn = at.pathname === '/sign-in'
  const through = useLetThrough(until > 0 && !administrator)
  if (me === undefined) return null
  if (until && !administrator && !through && !signsIn) {
    return (
      <Suspense>
        <Blocked until={until} />
      </Suspense>
    )
  }
  if (signsIn) return me ? <Navigate to={safe(wanted(me, at.search))} replace /> : has === '/sign-in' && <Outlet />
  // Whether a lockdown is on decides where nobody goes.
  if (!me && !posture && !lostSince) return null
  if (!me) return <Navigate to="/sign-in" search={{ to: at.href === '/' ? undefined : at.href }} replace />
  return (
    <Fragment key={me.name}>
      <Shell>
        {has !== '/sign-in' && <Outlet />}
      </Shell>
    </Fragment>
  )
}

/** Where who has signed in goes. Who comes from the provider has not been asked yet what calls them first. */
function wanted(me: User, { to, via }: { to?: string; via?: string }): string | undefined {
  if (!via) return to
  return (via === 'provider' && calls(me, {})) || keptWish() || to
}

/** Only ever a page of this console. */
function safe(to: string | undefined): string {
  return to?.startsWith('/') && !to.startsWith('//') && !to.startsWith('/\\') ? to : '/'
}
