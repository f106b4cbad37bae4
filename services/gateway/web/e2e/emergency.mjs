import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, administrator, base, call, code, eventually, grant, open, screenshot, signIn } from './world.mjs'

/** Types a code into the six fields, as a person does; the sixth validates by itself. */
async function type(page, digits) {
  await page.getByLabel('Digit 1 of 6').waitFor()
  await page.keyboard.type(digits)
}

async function live(context) {
  const { body } = await call(context, 'GET', '/v1/sessions?pageSize=1000')
  return (body.sessions ?? []).filter((s) => s.state === 'OPEN')
}

async function ongoing(context, kind) {
  const { body } = await call(context, 'GET', `/v1/${kind}?filter=status=ONGOING`)
  return body[kind] ?? []
}

/** Fills in a freeze but for the word. */
async function freeze(page, person, why = 'A suspicious transfer') {
  await page.goto(`${base}/emergency/freeze`)
  await type(page, await code(person))
  await page.getByText('Code accepted.').waitFor()
  await page.getByLabel('Justification', { exact: true }).fill(why)
  await page.getByRole('textbox', { name: 'Type FREEZE to apply' }).fill('freeze')
}

const ended = /Locked down\. Every door confirmed\./

test('A person signs in by password and code, is told what is wrong, and comes back to where they were', async () => {
  const person = administrator()
  const { page, context, calm, trouble } = await open()
  await page.goto(`${base}/devices?q=db`)
  await page.getByLabel('User name').fill(person.name)
  await page.getByLabel('Password', { exact: true }).fill('not the password')
  await page.keyboard.press('Enter')
  await page.getByText('The user name or the password is wrong').waitFor()
  assert.equal(trouble.splice(0).length, 1) // a wrong password is refused, and nothing else is
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.keyboard.press('Enter')
  await type(page, await code(person))
  await page.getByRole('heading', { level: 1, name: 'Devices' }).waitFor()
  assert.equal(new URL(page.url()).search, '?q=db')
  const cookies = await context.cookies()
  assert.deepEqual(cookies.map((c) => [c.name, c.httpOnly, c.sameSite]), [['portcullis', true, 'Strict']])
  assert.equal(await page.evaluate(() => document.cookie), '')
  calm()
  await context.close()
})

test('By keyboard alone, in under 20 seconds, a lockdown ends a dozen SSH sessions before one\'s eyes', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  const blocked = await user('zoe')
  const bystander = await open()
  await signIn(bystander.context, blocked)
  await bystander.page.goto(`${base}/account`)
  await bystander.page.getByRole('heading', { level: 1 }).waitFor()
  const stranger = await open({ language: 'pt-BR', scheme: 'dark' })
  await stranger.page.goto(`${base}/sign-in`)
  await eventually('a dozen sessions are open', async () => (await live(context)).length >= 12, 40_000)
  await page.goto(base)
  await page.getByRole('heading', { level: 1 }).waitFor()
  const usable = await code(person)
  const begun = Date.now()
  await page.keyboard.type('gel') // g, e: the panel; l: lockdown
  await type(page, usable)
  await page.getByText('Code accepted.').waitFor()
  await page.keyboard.press('3') // 1 h
  await page.getByRole('radio', { name: '1 h' }).and(page.locator('[aria-checked=true]')).waitFor()
  await until(page, 'Justification')
  await page.keyboard.type('Stolen credentials of an operator')
  await page.keyboard.press('Control+Enter')
  await page.keyboard.type('lockdown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/emergencies\/L-/)
  await page.getByRole('heading', { level: 1, name: ended }).waitFor()
  const took = Date.now() - begun
  console.log(`a lockdown by keyboard took ${took} ms`)
  assert.ok(took < 20_000, `${took} ms`)
  assert.equal((await live(context)).length, 0)
  await page.getByText(/1[2-9] of 1[2-9]/).first().waitFor()
  await screenshot(page, 'lockdown-live')
  await accessible(page, 'live')
  await page.reload()
  await page.getByRole('heading', { level: 1, name: ended }).waitFor()

  // Pages that were open turn into the lockdown's without a reload, the sign-in says so before one types.
  await bystander.page.getByRole('heading', { name: 'Portcullis is under lockdown' }).waitFor()
  await accessible(bystander.page, 'blocked')
  await screenshot(bystander.page, 'blocked')
  await stranger.page.getByText('O Portcullis está em lockdown').waitFor()
    .catch(() => stranger.page.getByText('Em lockdown até').waitFor())
  await screenshot(stranger.page, 'sign-in-lockdown-pt')

  // It is cancelled by the trash icon of the report, and lifts by itself.
  await page.goto(`${base}/reports/lockdowns`)
  await page.getByRole('link', { name: /^Cancel L-/ }).or(page.getByRole('button', { name: /^Cancel L-/ })).first().click()
  await type(page, await code(person))
  await page.getByText('Code accepted.').waitFor()
  await page.getByLabel('Justification', { exact: true }).fill('Contained')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('heading', { level: 1, name: 'Lockdown cancelled' }).waitFor()
  await bystander.page.getByLabel('User name').waitFor()
  calm()
  for (const one of [context, bystander.context, stranger.context]) await one.close()
})

/** Tabs on until a field has the focus. */
async function until(page, label) {
  for (let i = 0; i < 30; i++) {
    const name = await page.evaluate(() => document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.getAttribute('aria-label') ?? '')
    if (name.startsWith(label)) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`Tab does not lead to ${label}`)
}

/** A person without a role, made once, who has the devices of payments. */
async function user(name) {
  const by = administrator()
  const { context } = await open()
  await signIn(context, by)
  const person = { name, password: 'a password of some length' }
  const { status, body } = await call(context, 'POST', '/v1/users', { ...person, requestId: crypto.randomUUID() })
  assert.ok(status === 200 || status === 409, JSON.stringify(body))
  await context.close()
  return person
}

test('A freeze pressed twice is one; who is blocked sees which devices and a countdown; its devices are in the report', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  const name = '<img src=x onerror="document.title=1">'
  await freeze(page, person, `${name} \u202eright to left`)
  await page.getByRole('button', { name: /Apply freeze/ }).dblclick()
  await page.waitForURL(/emergencies\/F-/)
  assert.equal((await ongoing(context, 'freezes')).length, 1)
  await page.getByRole('heading', { level: 1, name: 'Frozen. Every door confirmed.' }).waitFor()
  await page.getByText(name).first().waitFor()
  await page.goto(`${base}/reports/freezes?status=ONGOING`)
  await page.getByRole('button', { name: /^Devices/ }).first().click()
  await page.getByRole('dialog').getByText('db-1').first().waitFor()
  await screenshot(page, 'report-devices')
  await page.keyboard.press('Escape')
  const blocked = await open()
  await signIn(blocked.context, await alice())
  await blocked.page.goto(`${base}/account`)
  await blocked.page.getByText(/of your devices (is|are) frozen until/).waitFor()
  await blocked.page.getByRole('timer').getByText(/\d\d:\d\d:\d\d/).waitFor()
  calm()
  for (const one of [context, blocked.context]) await one.close()
})

/** The demo's alice, with a password of ours. */
async function alice() {
  const by = administrator()
  const { context } = await open()
  await signIn(context, by)
  const password = 'another password of ours'
  const { status, body } = await call(context, 'PATCH', '/v1/users/alice', { password })
  assert.equal(status, 200, JSON.stringify(body))
  await context.close()
  return { name: 'alice', password }
}

test('A connection lost in the middle of Apply is told as not known, and settles as one freeze', async () => {
  const person = administrator()
  const { page, context } = await open()
  await signIn(context, person)
  await freeze(page, person)
  let lost = 0
  await page.route('**/v1/freezes', async (route) => {
    if (route.request().method() !== 'POST' || lost++ > 0) return route.continue()
    await route.fetch() // it arrives and is applied
    await route.abort('connectionreset') // and nobody hears the answer
  })
  await page.getByRole('textbox', { name: 'Type FREEZE to apply' }).press('Enter')
  await page.waitForURL(/emergencies\/F-/, { timeout: 20_000 })
  assert.ok(lost >= 2, `it asked ${lost} times`)
  assert.equal((await ongoing(context, 'freezes')).length, 1)
  await context.close()
})

test('On a slow network a reload in the middle of Apply applies once', async () => {
  const person = administrator()
  const { page, context } = await open()
  await signIn(context, person)
  await freeze(page, person)
  await page.route('**/v1/freezes', async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    const answer = await route.fetch()
    await new Promise((done) => setTimeout(done, 1500))
    await route.fulfill({ response: answer }).catch(() => {}) // the page has gone meanwhile
  })
  await page.getByRole('textbox', { name: 'Type FREEZE to apply' }).press('Enter')
  await page.getByText('Applying').first().waitFor()
  await eventually('it arrived', async () => (await ongoing(context, 'freezes')).length === 1)
  await page.reload()
  await page.waitForURL(/emergencies\/F-/, { timeout: 20_000 })
  assert.equal((await ongoing(context, 'freezes')).length, 1)
  await context.close()
})

test('A code that was used says when the next one comes', async () => {
  const person = administrator()
  const { page, context } = await open()
  await signIn(context, person)
  const used = await code(person)
  await call(context, 'POST', '/v1/grants', { code: used, purpose: 'freeze' })
  await page.goto(`${base}/emergency/freeze`)
  await type(page, used)
  await page.getByText(/The next (code|one) comes in \d\d:\d\d:\d\d|The next (code|one) comes in \d+ s/).waitFor()
  await page.getByText('CODE_USED').waitFor()
  await context.close()
})

test('A termination of one person ends that person\'s sessions and no other', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  await eventually('the demo is back', async () => (await live(context)).length >= 12, 40_000)
  const before = await live(context)
  const victim = before[0].user
  const others = before.filter((s) => s.user !== victim).map((s) => s.id)
  await page.goto(`${base}/emergency/terminate?users=${victim}`)
  await type(page, await code(person))
  await page.getByText('Code accepted.').waitFor()
  await page.getByLabel('Justification', { exact: true }).fill('Left the company')
  await page.getByRole('textbox', { name: 'Type TERMINATE to apply' }).fill('TERMINATE')
  await page.keyboard.press('Enter')
  await page.waitForURL(/emergencies\/T-/)
  await page.getByRole('heading', { level: 1, name: 'Sessions ended. Every connector confirmed.' }).waitFor()
  const left = new Set((await live(context)).map((s) => s.id))
  assert.ok(others.every((id) => left.has(id)), 'a session of somebody else ended')
  assert.ok(!before.some((s) => s.user === victim && left.has(s.id)), 'a session of theirs lives')
  calm()
  await context.close()
})

test('The live page follows by one stream: numbers and titles change, and nothing more is asked', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  await eventually('the demo is back', async () => (await live(context)).length >= 12, 40_000)
  const body = { startTime: new Date(Date.now() + 3000).toISOString(), duration: '900s', endLiveSessions: true, justification: 'Followed', grant: await grant(context, person, 'freeze'), requestId: crypto.randomUUID() }
  const { status, body: made } = await call(context, 'POST', '/v1/freezes', body)
  assert.equal(status, 200, JSON.stringify(made))
  const asked = []
  page.on('request', (r) => /\/v1\/(emergencies|freezes)\b/.test(r.url()) && asked.push(new URL(r.url()).pathname)) // who enforces is asked of by the frame, on every page
  await page.goto(`${base}/emergencies/${made.id}`)
  await page.getByRole('heading', { level: 1, name: 'Freeze planned' }).waitFor()
  await page.getByRole('heading', { level: 1, name: 'Frozen. Every door confirmed.' }).waitFor()
  await page.getByText(/^[1-9]\d* of [1-9]\d* sessions confirmed/).waitFor()
  const other = await open()
  const canceller = administrator()
  await signIn(other.context, canceller)
  const cancel = { justification: 'Seen', grant: await grant(other.context, canceller, 'cancel') }
  assert.equal((await call(other.context, 'POST', `/v1/freezes/${made.id}:cancel`, cancel)).status, 200)
  await page.getByRole('heading', { level: 1, name: 'Freeze cancelled' }).waitFor()
  assert.deepEqual(asked, [`/v1/emergencies/${made.id}:watch`])
  await page.locator('section').getByRole('link', { name: 'Audit', exact: true }).click()
  await page.waitForURL(`**/audit?target=${made.id}`)
  calm()
  for (const one of [context, other.context]) await one.close()
})

test('A clock ten minutes off in the browser changes no countdown', async () => {
  const person = administrator()
  const { page, context } = await open()
  await page.clock.install({ time: Date.now() + 600_000 })
  await signIn(context, person)
  const body = { duration: '900s', justification: 'Clocks', grant: await grant(context, person, 'freeze'), requestId: crypto.randomUUID() }
  const { body: made } = await call(context, 'POST', '/v1/freezes', body)
  await page.goto(`${base}/emergencies/${made.id}`)
  await page.clock.runFor(2000)
  const shown = await page.getByRole('timer').first().innerText()
  const left = shown.match(/(\d+):(\d+):(\d+)/).slice(1).map(Number)
  const seconds = left[0] * 3600 + left[1] * 60 + left[2]
  const truly = (Date.parse(made.endTime) - Date.now()) / 1000
  assert.ok(Math.abs(seconds - truly) < 10, `${shown} are shown, ${truly} s are left`)
  await context.close()
})
