import IconDesktop from '@tabler/icons-react/dist/esm/icons/IconDeviceDesktop.mjs'
import IconMobile from '@tabler/icons-react/dist/esm/icons/IconDeviceMobile.mjs'
import IconHash from '@tabler/icons-react/dist/esm/icons/IconHash.mjs'
import IconMail from '@tabler/icons-react/dist/esm/icons/IconMail.mjs'
import IconPulse from '@tabler/icons-react/dist/esm/icons/IconActivity.mjs'
import IconUsers from '@tabler/icons-react/dist/esm/icons/IconUsers.mjs'
import IconWebhook from '@tabler/icons-react/dist/esm/icons/IconWebhook.mjs'
import { useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../../api/client'

export type Rule = Schemas['Notification']
export type Type = Schemas['NotificationType']
export type Account = Schemas['SmtpAccount']
export type Mailbox = Schemas['Mailbox']
export type Webhook = Schemas['Webhook']
export type Delivery = Schemas['Delivery']
export type Method = Exclude<Schemas['Method'], 'METHOD_UNSPECIFIED'>

export const methods = ['EMAIL', 'SCREEN', 'SMS', 'SLACK', 'TEAMS', 'PAGERDUTY', 'WEBHOOK'] as const satisfies Method[]
export const hooked = ['SLACK', 'TEAMS', 'PAGERDUTY', 'WEBHOOK'] as const satisfies Method[]
export const methodIcons = { EMAIL: IconMail, SCREEN: IconDesktop, SMS: IconMobile, SLACK: IconHash, TEAMS: IconUsers, PAGERDUTY: IconPulse, WEBHOOK: IconWebhook } as const

const minute = 60_000
// There are as few of these as there are servers and channels.
const all = 1000

export const useTypes = () => useQuery({ queryKey: ['notification-types'], queryFn: () => ask(api.GET('/v1/notification-types')), staleTime: minute })

export const useAccounts = () =>
  useQuery({ queryKey: ['smtp-accounts'], queryFn: () => ask(api.GET('/v1/smtp-accounts', { params: { query: { pageSize: all } } })) })

export const useWebhooks = () =>
  useQuery({ queryKey: ['webhooks'], queryFn: () => ask(api.GET('/v1/webhooks', { params: { query: { pageSize: all } } })) })

export function byCategory(types: Type[]): Map<string, Type[]> {
  const groups = new Map<string, Type[]>()
  for (const type of types) groups.set(type.category ?? '', [...(groups.get(type.category ?? '') ?? []), type])
  return groups
}
