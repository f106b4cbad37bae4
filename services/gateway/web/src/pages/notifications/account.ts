import type { Account } from './data'

export type Draft = Required<Omit<Account, 'id' | 'credentialSet' | 'createdBy' | 'createTime' | 'lastError' | 'lastErrorTime' | 'requestId' | 'warnings' | 'password'>> & { password?: string }

export const draftOf = (of?: Account): Draft => ({
  name: of?.name ?? '', enabled: of?.enabled ?? true, sender: of?.sender ?? '', replyTo: of?.replyTo ?? '', returnPath: of?.returnPath ?? '', plainReturnPath: of?.plainReturnPath ?? false,
  confirmationAddress: of?.confirmationAddress ?? '', defaultAccount: of?.defaultAccount ?? false, sendReadReceipt: of?.sendReadReceipt ?? false, forceSettings: of?.forceSettings ?? false, footnote: of?.footnote ?? true,
  host: of?.host ?? '', port: of?.port ?? 0, secureConnection: of?.secureConnection ?? true, secureConnectionType: secure(of?.secureConnectionType), authentication: of?.authentication ?? true,
  authenticationMethod: of?.authenticationMethod ?? 'AUTHENTICATION_METHOD_UNSPECIFIED', ignoreCertificateErrors: of?.ignoreCertificateErrors ?? false, username: of?.username ?? '', ratePerMinute: of?.ratePerMinute ?? 0,
  password: undefined,
})

const secure = (type: Account['secureConnectionType']) => (type && type !== 'SECURE_CONNECTION_TYPE_UNSPECIFIED' ? type : 'TLS')

// As the server decides it: a kept password must not come to others.
const leads = ['host', 'port', 'username', 'secureConnection', 'secureConnectionType', 'authenticationMethod'] as const

/** Whether saving forgets the password that is kept. */
export function drops(of: Account | undefined, draft: Draft): boolean {
  if (!of?.credentialSet) return false
  const before = draftOf(of)
  return leads.some((field) => before[field] !== draft[field]) || (draft.ignoreCertificateErrors && !before.ignoreCertificateErrors)
}

export const usualPort = (d: Pick<Draft, 'secureConnection' | 'secureConnectionType'>) => (!d.secureConnection ? 25 : d.secureConnectionType === 'SSL' ? 465 : 587)
