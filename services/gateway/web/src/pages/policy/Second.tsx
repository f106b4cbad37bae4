import type { Draft, Policy } from './draft'
import { words } from './text'

/** What opens early, and what governance codes are held against. */
export function Second({ policy, set, disabled, refused }: { policy: Policy; set: (part: Draft) => void; disabled: boolean; refused?: string }) {
  const t = words.useTexts()
  return (
    <section className="card box" aria-labelledby="second">
      <h2 id="second">{t('opening')}</h2>
      <p className="sm mid">{t('openingText')}</p>
      <fieldset disabled={disabled} aria-labelledby="second">
        <label className="ck">
          <input type="checkbox" checked={policy.secondAdministrator ?? false} onChange={(e) => set({ secondAdministrator: e.target.checked })} />
          <span><span className="m">{t('secondAdministrator')}</span><span className="xs dim block">{t('secondText')}</span></span>
        </label>
        <label className="ck">
          <input type="checkbox" checked={policy.ticketCheck === 'ON'} aria-describedby={refused ? 'ticket-refused' : undefined} aria-invalid={refused !== undefined || undefined} onChange={(e) => set({ ticketCheck: e.target.checked ? 'ON' : 'OFF' })} />
          <span><span className="m">{t('ticketCheck')}</span><span className="xs dim block">{t('ticketText')}</span></span>
        </label>
      </fieldset>
      {refused && <p className="hint red" id="ticket-refused">{refused}</p>}
    </section>
  )
}
