import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconUserLock from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import IconTarget from '@tabler/icons-react/dist/esm/icons/IconTarget.mjs'

export type Kind = 'terminate' | 'freeze' | 'lock' | 'lockdown'

/** What the pages differ in. The words are not translated: what one types is the same in every language. */
export const kinds = {
  terminate: { word: 'TERMINATE', to: '/emergency/terminate', report: '/reports/terminations', Icon: IconTarget },
  freeze: { word: 'FREEZE', to: '/emergency/freeze', report: '/reports/freezes', Icon: IconSnowflake },
  lock: { word: 'LOCK', to: '/emergency/lock', report: '/reports/locks', Icon: IconUserLock },
  lockdown: { word: 'LOCKDOWN', to: '/emergency/lockdown', report: '/reports/lockdowns', Icon: IconLock },
} as const

export type Step = 'prove' | 'when' | 'whom' | 'why' | 'governance' | 'through' | 'apply'
