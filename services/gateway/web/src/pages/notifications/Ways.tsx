import { Link } from '@tanstack/react-router'
import { Checks, errorOf, Field, Text } from '../../parts/Editor'
import { hooked, type Method, useAccounts, useWebhooks } from './data'
import { MethodName } from './Methods'
import type { Draft } from './rule'
import type { Set } from './RuleEditor'
import { ruleTexts } from './rules-text'

type Given = { draft: Draft; set: Set; error: unknown }

/** Which webhooks it goes to, of the methods that are chosen. */
export function ByWebhook({ draft, set, error }: Given) {
  const t = ruleTexts.useTexts()
  const wants = hooked.filter((m) => draft.methods.includes(m))
  const { data } = useWebhooks()
  if (wants.length === 0 || !data) return null
  const fit = data.webhooks?.filter((w) => wants.includes(w.method as (typeof wants)[number]) || draft.webhooks.includes(w.id ?? '')) ?? []
  return (
    <div className="es">
      <Checks
        legend={t('webhooks')} value={draft.webhooks} change={(webhooks) => set?.({ webhooks })} error={errorOf(error, 'webhooks')}
        hint={fit.length === 0 ? <>{t('noWebhooks')} <Link to="/notifications" search={{ tab: 'webhooks' }}>{t('makeWebhook')}</Link></> : t('webhooksHint')}
        options={fit.map((w) => ({ value: w.id ?? '', off: !set, text: <span className="row hk"><MethodName of={w.method as Method} only /><bdi>{w.name}</bdi>{!w.enabled && <span className="dim">({t('webhookOff')})</span>}</span> }))}
      />
    </div>
  )
}

/** The account that its e-mail goes out by, and addresses of its own. */
export function ByEmail({ draft, set, error }: Given) {
  const t = ruleTexts.useTexts()
  const accounts = useAccounts().data?.smtpAccounts ?? []
  const own = (['replyTo', 'returnPath', 'confirmationAddress'] as const)
  const some = own.some((field) => draft[field] !== '')
  return (
    <div className="es byemail">
      <Field label={t('account')} error={errorOf(error, 'smtpAccount')}>
        {(given) => (
          <select {...given} className="in" value={draft.smtpAccount} disabled={!set} onChange={(e) => set?.({ smtpAccount: e.target.value })}>
            <option value="">{t('usual')}</option>
            {accounts.map((a) => <option key={a.id} value={a.id}>{a.name}</option>)}
            {draft.smtpAccount && !accounts.some((a) => a.id === draft.smtpAccount) && <option value={draft.smtpAccount}>{draft.smtpAccount}</option>}
          </select>
        )}
      </Field>
      <details open={some || own.some((field) => errorOf(error, field))}>
        <summary className="sm m">{t('addresses')}</summary>
        <p className="hint">{t('addressesHint')}</p>
        <div className="two">
          {own.map((field) => <Text key={field} label={t(field)} optional value={draft[field]} length={320} error={errorOf(error, field)} change={(value) => set?.({ [field]: value })} />)}
        </div>
      </details>
    </div>
  )
}
