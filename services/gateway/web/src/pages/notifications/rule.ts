import type { Rule } from './data'

export type Draft = Required<Pick<Rule, 'name' | 'enabled' | 'methods' | 'types' | 'contacts' | 'onlyWithAccess' | 'webhooks' | 'smtpAccount' | 'replyTo' | 'returnPath' | 'confirmationAddress'>>

export const draftOf = (of?: Rule): Draft => ({
  name: of?.name ?? '', enabled: of?.enabled ?? true, methods: of?.methods ?? ['EMAIL', 'SCREEN'], types: of?.types ?? [], contacts: of?.contacts ?? [], onlyWithAccess: of?.onlyWithAccess ?? false,
  webhooks: of?.webhooks ?? [], smtpAccount: of?.smtpAccount ?? '', replyTo: of?.replyTo ?? '', returnPath: of?.returnPath ?? '', confirmationAddress: of?.confirmationAddress ?? '',
})
