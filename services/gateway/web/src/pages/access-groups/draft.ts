import { changes } from '../../parts/Editor'
import type { Group } from './AccessGroups'

/** What a person can change of a group. */
export type Draft = { name: string; users: string[]; devices: string[]; blockDuringFreezes: boolean; disabled: boolean }

export const draftOf = (g?: Group): Draft => ({ name: g?.name ?? '', users: g?.users ?? [], devices: g?.devices ?? [], blockDuringFreezes: g?.blockDuringFreezes ?? false, disabled: g?.disabled ?? false })

/** Whether a freeze closes its devices. */
export const closes = (d: Draft) => d.blockDuringFreezes && !d.disabled

function replayed(was: string[], mine: string[], now: string[]): string[] {
  const kept = new Set(mine)
  const old = new Set(was)
  const there = new Set(now)
  return [...mine.filter((name) => !old.has(name) && !there.has(name)), ...now.filter((name) => kept.has(name) || !old.has(name))]
}

/** What one person made of a group, made of the group that another has changed meanwhile. */
export function rebase(was: Draft, mine: Draft, now: Draft): Draft {
  return { ...now, ...changes(was, mine), users: replayed(was.users, mine.users, now.users), devices: replayed(was.devices, mine.devices, now.devices) }
}
