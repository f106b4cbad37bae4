import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { accessible, administrator, base, call, grant, open, screenshot, signIn } from './world.mjs'

const save = (page) => page.getByRole('button', { name: /^Save/ })

/** A mail server that takes nobody. */
async function refusingServer() {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write('220 no ESMTP\r\n')
    socket.on('data', (data) => {
      for (const line of data.toString().trim().split('\r\n')) socket.write(/^(EHLO|HELO|MAIL|RSET)/i.test(line) ? '250 ok\r\n' : /^QUIT/i.test(line) ? '221 bye\r\n' : '550 5.1.1 Nobody of that name\r\n')
    })
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return server
}

test('A rule is made by hand, and what it tells is on the bell at once and after a new sign-in', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  await page.goto(`${base}/notifications?rule=new`)
  await page.getByLabel('Notification name').fill('Bell')
  await page.getByRole('checkbox', { name: 'E-mail' }).uncheck({ force: true })
  await page.getByRole('searchbox', { name: 'Filter types' }).fill('freeze.started')
  await page.getByRole('checkbox', { name: 'A freeze started' }).check()
  await page.getByRole('textbox', { name: 'Add users by name' }).fill(person.name)
  await page.getByRole('option', { name: person.name, exact: true }).click()
  await save(page).click()
  await page.getByRole('button', { name: 'Open Bell' }).waitFor()
  await page.waitForURL((url) => !url.search.includes('rule=new'))
  await accessible(page, 'a rule')
  await screenshot(page, 'notification')
  const other = await open()
  const colleague = administrator()
  await signIn(other.context, colleague)
  const { body: freeze } = await call(other.context, 'POST', '/v1/freezes', { duration: '3600s', justification: 'The bell has to ring', grant: await grant(other.context, colleague, 'freeze') })
  await other.context.close()
  await page.getByRole('button', { name: /^Inbox, \d+ unread$/ }).click()
  await page.locator('.messages li.unread', { hasText: freeze.id }).first().waitFor()
  await accessible(page, 'the inbox')
  await screenshot(page, 'inbox')
  calm()
  await context.close()
  const later = await open({ width: 360, height: 780, language: 'pt-BR' })
  await signIn(later.context, person)
  await later.page.goto(base)
  await later.page.getByRole('button', { name: /^Entrada, \d+ não lida/ }).click()
  await later.page.getByRole('button', { name: 'Marcar todas como lidas' }).click()
  await later.page.getByText('Tudo lido').waitFor()
  await later.page.keyboard.press('Escape')
  await later.page.getByRole('button', { name: 'Entrada', exact: true }).waitFor()
  const { body } = await call(later.context, 'GET', '/v1/notifications?filter=name%3DBell')
  for (const rule of body.notifications) assert.equal((await call(later.context, 'DELETE', `/v1/notifications/${rule.id}`)).status, 200)
  later.calm()
  await later.context.close()
})

test('An e-mail account is made by keyboard, and a refused test mail says what the server said', async () => {
  const server = await refusingServer()
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  await page.goto(`${base}/notifications?tab=accounts`)
  await page.getByRole('button', { name: 'New account' }).focus()
  await page.keyboard.press('Enter')
  const fill = async (label, text) => {
    await page.getByRole('textbox', { name: label }).focus()
    await page.keyboard.type(text)
  }
  await fill('Account name', 'Refused')
  await fill('Sender', 'brake@example.com')
  await fill('Host', '127.0.0.1')
  await fill('Port', String(server.address().port))
  for (const label of ['Secure connection', 'Authentication']) {
    await page.getByRole('switch', { name: label }).focus()
    await page.keyboard.press('Space')
  }
  await page.keyboard.press('Control+s')
  await page.getByRole('button', { name: 'Send test mail by Refused' }).focus()
  await page.keyboard.press('Enter')
  await fill('Recipient', 'nobody@example.com')
  await page.keyboard.press('Enter')
  await page.locator('.result', { hasText: '550 5.1.1 Nobody of that name' }).waitFor()
  await accessible(page, 'a test mail')
  await screenshot(page, 'test-mail')
  const { body } = await call(context, 'GET', '/v1/smtp-accounts')
  const made = body.smtpAccounts.find((a) => a.name === 'Refused')
  await call(context, 'DELETE', `/v1/smtp-accounts/${made.id}`)
  calm()
  await context.close()
  server.close()
})

test('A template is written with its preview beside it, and goes back to the built-in text', async () => {
  const { page, context } = await open() // what the browser says of the frame without scripts is no trouble
  await signIn(context, administrator())
  await page.goto(`${base}/notifications?tab=templates&template=emergency.freeze.started/en`)
  const subject = page.getByRole('textbox', { name: 'Subject' })
  await subject.fill('Doors held by ')
  await page.getByRole('button', { name: /^Insert actor/ }).click()
  assert.equal(await subject.inputValue(), 'Doors held by {{actor}}')
  await page.locator('p', { hasText: /^Doors held by (?!\{)./ }).waitFor()
  assert.equal(await page.locator('iframe').getAttribute('sandbox'), '')
  await screenshot(page, 'template')
  await save(page).click()
  await page.locator('tr', { hasText: 'Doors held by' }).getByText('Changed').waitFor()
  await page.getByRole('button', { name: 'A freeze started' }).first().click()
  await page.getByRole('button', { name: 'Back to the built-in text' }).click()
  await page.getByRole('button', { name: 'Back to the built-in text' }).last().click()
  await page.locator('tr', { hasText: 'Doors held by' }).waitFor({ state: 'detached' })
  await context.close()
})
