import IconTicket from '@tabler/icons-react/dist/esm/icons/IconTicket.mjs'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api, ask } from '../../api/client'
import { number } from '../../app/format'
import { length, most } from './draft'
import { apply } from './text'

export function usePolicy() {
  const { data } = useQuery({ queryKey: ['policy'], queryFn: () => ask(api.GET('/v1/policy')), staleTime: 10_000 })
  return { policy: data }
}

/** What the policy asks of the governance code; optional until it is known. */
export function useGovernance() {
  const { policy } = usePolicy()
  const required = policy?.governanceCode === 'REQUIRED' || policy?.governanceCode === 'PATTERN'
  return { required, pattern: policy?.governanceCode === 'PATTERN' ? (policy.governancePattern ?? '') : '' }
}

/** Whether it surely fails the policy's pattern. RE2 is not the browser's dialect, so the server alone decides. */
function misses(pattern: string, code: string): boolean {
  if (!pattern || !code || /\\|\(\?/.test(pattern)) return false
  try {
    return !new RegExp(`^(?:${pattern})$`, 'u').test(code)
  } catch {
    return false
  }
}

export function Why({ justification, governance, set, toWord, disabled, refused, children, below }: {
  justification: string
  governance: string
  set: (change: { justification?: string; governance?: string }) => void
  toWord: () => void
  disabled: boolean
  /** Which of the two a refusal is about. */
  refused?: 'why' | 'governance'
  children?: ReactNode
  below?: ReactNode
}) {
  const t = apply.useTexts()
  const policy = useGovernance()
  const n = length(justification)
  const off = misses(policy.pattern, governance.trim())
  return (
    <>
      <div className="labrow">
        <label className="f" htmlFor="justification">{t('justification')}</label>
        <span className={`xs ${n > most ? 'red' : 'dim'}`} id="justification-count">{t('count', { n: number(n), most: number(most) })}</span>
      </div>
      <textarea
        id="justification" className="in area" rows={2} dir="auto" value={justification} required disabled={disabled}
        aria-describedby={`justification-count${refused === 'why' ? ' note-why' : ''}`} aria-invalid={n > most || refused === 'why'}
        onChange={(e) => set({ justification: e.target.value })}
        onKeyDown={(e) => {
          if (e.key !== 'Enter' || !(e.ctrlKey || e.metaKey)) return
          e.preventDefault()
          toWord()
        }}
      />
      <div className="two">
        <div>
          <label className="f" htmlFor="governance">{t('governance')} <span className="dim">{policy.required ? t('required') : t('optional')}</span></label>
          <div className="ticket">
            <IconTicket className="i" stroke={1.6} aria-hidden />
            <input
              id="governance" className="in mono" value={governance} required={policy.required} disabled={disabled} autoComplete="off" spellCheck={false}
              aria-invalid={off || refused === 'governance'} aria-describedby={refused === 'governance' ? 'note-why' : policy.pattern ? 'governance-hint' : undefined}
              onChange={(e) => set({ governance: e.target.value })}
            />
          </div>
          <Ticket code={governance.trim()} />
          {policy.pattern && <p className={`hint${off ? ' red' : ''}`} id="governance-hint"><span>{t(off ? 'patternOff' : 'pattern')} <code>{policy.pattern}</code></span></p>}
        </div>
        {children && <div className="opts">{children}</div>}
      </div>
      {below}
    </>
  )
}

/** What the ticket is called, before anything is done with it. */
function Ticket({ code }: { code: string }) {
  const t = apply.useTexts()
  const { policy } = usePolicy()
  const [settled] = useDebouncedValue(code, 500)
  const { data } = useQuery({
    queryKey: ['ticket', settled], enabled: policy?.ticketCheck === 'ON' && settled !== '', staleTime: 30_000, retry: false,
    queryFn: () => ask(api.POST('/v1/tickets:check', { body: { code: settled } })),
  })
  if (!data || settled !== code) return null
  const missing = data.state === 'MISSING'
  return <p className={`hint${missing ? ' red' : ''}`} role="status">{data.state === 'FOUND' ? <bdi>{data.title || t('ticketFound')}</bdi> : t(missing ? 'ticketMissing' : 'ticketUnchecked')}</p>
}

export function Option({ on, set, disabled, children }: { on: boolean; set: (on: boolean) => void; disabled: boolean; children: ReactNode }) {
  return (
    <label className="ck">
      <input type="checkbox" checked={on} disabled={disabled} onChange={(e) => set(e.target.checked)} />
      <span>{children}</span>
    </label>
  )
}
