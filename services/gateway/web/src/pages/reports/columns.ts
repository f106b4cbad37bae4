import type { ReportKind } from './emergency'

type Key = 'status' | 'why' | 'window' | 'when' | 'left' | 'sessions' | 'by' | 'ticket' | 'blocks' | 'locks' | 'action'

/** A column: its head, its class, and what the API calls its order. */
export type Column = { key: Key; look: string; order?: string }

const all: Record<Key, Column> = {
  status: { key: 'status', look: 'c-status', order: 'status' },
  why: { key: 'why', look: 'c-why', order: 'justification' },
  window: { key: 'window', look: 'c-window', order: 'startTime' },
  when: { key: 'when', look: 'c-window', order: 'startTime' },
  left: { key: 'left', look: 'c-left', order: 'endTime' },
  sessions: { key: 'sessions', look: 'c-sessions', order: 'ended' },
  by: { key: 'by', look: 'c-by', order: 'createdBy' },
  ticket: { key: 'ticket', look: 'c-ticket', order: 'governanceCode' },
  blocks: { key: 'blocks', look: 'c-blocks', order: 'blockedDevices' },
  locks: { key: 'locks', look: 'c-locks' },
  action: { key: 'action', look: 'c-action' },
}

const columns: Record<ReportKind, Key[]> = {
  TERMINATION: ['status', 'why', 'when', 'sessions', 'by', 'ticket', 'action'],
  FREEZE: ['status', 'why', 'window', 'left', 'by', 'ticket', 'blocks', 'action'],
  LOCK: ['status', 'locks', 'why', 'window', 'left', 'by', 'ticket', 'action'],
  LOCKDOWN: ['status', 'why', 'window', 'left', 'sessions', 'by', 'ticket', 'action'],
}

export const columnsOf = (kind: ReportKind): Column[] => columns[kind].map((key) => all[key])
