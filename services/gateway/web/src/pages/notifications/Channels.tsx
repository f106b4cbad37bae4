export { Mailboxes } from './Mailboxes'
export { Sms } from './Sms'
export { Webhooks } from './Webhooks'
