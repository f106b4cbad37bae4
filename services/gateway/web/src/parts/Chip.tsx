import IconBan from '@tabler/icons-react/dist/esm/icons/IconBan.mjs'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconHalf from '@tabler/icons-react/dist/esm/icons/IconCircleHalf2.mjs'
import IconClock from '@tabler/icons-react/dist/esm/icons/IconClock.mjs'
import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconShieldLock from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import IconTarget from '@tabler/icons-react/dist/esm/icons/IconTarget.mjs'
import type { Schemas } from '../api/client'
import { texts } from '../app/language'
import type { Emergency } from '../app/posture'
import { shell } from '../app/text'

export const kindIcons = { TERMINATION: IconTarget, FREEZE: IconSnowflake, LOCK: IconShieldLock, LOCKDOWN: IconLock } as const
export type Kind = keyof typeof kindIcons

const receiptTexts = texts(
  'receipt',
  { CONFIRMED: 'Confirmed', WAITING: 'Waiting', UNREACHABLE: 'Unreachable', MISSING: 'Missing', STATE_UNSPECIFIED: 'Unknown' },
  { CONFIRMED: 'Confirmado', WAITING: 'Aguardando', UNREACHABLE: 'Sem contato', MISSING: 'Faltando', STATE_UNSPECIFIED: 'Desconhecido' },
)

/** The status of an emergency: a word, an icon and a colour, never colour alone. */
export function StatusChip({ of }: { of: Emergency }) {
  const t = shell.useTexts()
  const kind = of.kind as Kind
  const status = of.status as 'PENDING' | 'ONGOING' | 'ENDED' | 'CANCELLED' | 'RUNNING' | 'DONE' | 'PARTIAL'
  const [look, Icon] = (
    {
      PENDING: ['pend', IconClock],
      ONGOING: [kind === 'FREEZE' ? 'froz' : 'clos', kindIcons[kind] ?? IconLock],
      ENDED: ['plain', IconCheck],
      CANCELLED: ['plain', IconBan],
      RUNNING: ['pend', IconClock],
      DONE: ['sure', IconCheck],
      PARTIAL: ['unk', IconHalf],
    } as const
  )[status] ?? ['plain', IconClock]
  return (
    <span className={`chip ${look}`}>
      <Icon className="i" stroke={1.8} aria-hidden />
      {t(status)}
    </span>
  )
}

/** What one enforcer says of one emergency. */
export function ReceiptChip({ state }: { state: Schemas['Receipt.State'] | undefined }) {
  const t = receiptTexts.useTexts()
  if (state === 'CONFIRMED' || state === 'WAITING') {
    const Icon = state === 'CONFIRMED' ? IconCheck : IconClock
    return (
      <span className={`chip ${state === 'CONFIRMED' ? 'sure' : 'pend'}`}>
        <Icon className="i" stroke={1.8} aria-hidden />
        {t(state)}
      </span>
    )
  }
  return (
    <span className="chip unk">
      <i className="hx" aria-hidden />
      {t(state ?? 'STATE_UNSPECIFIED')}
    </span>
  )
}
