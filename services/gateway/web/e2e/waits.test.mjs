// What a person waits for. These steps are timed, so nothing may run beside them.
import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { accessible, administrator, base, browser, call, open, openDoors, screenshot, signIn } from './world.mjs'

afterEach(openDoors)
after(() => browser.close())

/** One visit by somebody who is signed in and whose browser has none of our files yet. */
async function coldVisit(state) {
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  const cdp = await context.newCDPSession(page)
  await cdp.send('Network.enable')
  let script = 0
  const scripts = new Set()
  cdp.on('Network.responseReceived', (e) => e.type === 'Script' && scripts.add(e.requestId))
  cdp.on('Network.loadingFinished', (e) => { if (scripts.has(e.requestId)) script += e.encodedDataLength })
  await page.goto(base)
  await page.getByRole('heading', { level: 1 }).waitFor()
  // Nothing is painted before there is something to read.
  const paint = Math.round(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime))
  for (const path of ['/emergency/lockdown', '/reports/lockdowns', '/account']) {
    await page.goto(base + path)
    await page.getByRole('heading', { level: 1 }).waitFor()
  }
  await context.close()
  return { paint, script }
}

test('The first meaningful paint comes within a second, with less than 350 kB of script', async () => {
  const { context } = await open()
  await signIn(context, administrator())
  const state = await context.storageState()
  const visits = []
  for (let i = 0; i < 3; i++) visits.push(await coldVisit(state))
  await context.close()
  const paints = visits.map((v) => v.paint).sort((a, b) => a - b)
  const script = Math.max(...visits.map((v) => v.script))
  console.log(`first meaningful paint, cold, after ${paints.join(', ')} ms; ${Math.round(script / 1000)} kB of script for the panel and its report`)
  assert.ok(script > 0 && script < 350_000, `${script} bytes of script`)
  assert.ok(paints[1] < 1000, `the median of ${paints.join(', ')} ms`)
})

test('A group of 10,000 devices and names in every script stay usable, as text', async () => {
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  const devices = Array.from({ length: 10_000 }, (_, i) => ({ name: `many-${String(i).padStart(5, '0')}`, host: '192.0.2.1', port: 22, protocol: 'SSH' }))
  const users = [{ name: 'omar', displayName: '<b>عمر</b> e\u0301\u0327', password: 'a password of some length' }]
  const document = JSON.stringify({ users, devices, accessGroups: [{ name: 'many', users: ['omar'], devices: devices.map((d) => d.name), blockDuringFreezes: true }] })
  const { status, body } = await call(context, 'POST', '/v1/directory:import', { document, requestId: crypto.randomUUID() })
  assert.equal(status, 200, JSON.stringify(body))
  await page.goto(`${base}/users?q=omar`)
  await page.getByText('<b>عمر</b>').first().waitFor()
  await page.goto(`${base}/access-groups?q=many`)
  const begun = Date.now()
  await page.getByRole('button', { name: /^(many|Edit many)$/ }).first().click()
  await page.getByRole('dialog').waitFor()
  assert.ok(Date.now() - begun < 3000, `${Date.now() - begun} ms to open a group of 10,000`)
  await screenshot(page, 'group-of-10000')
  await accessible(page, 'group of 10,000')
  calm()
  await context.close()
})
