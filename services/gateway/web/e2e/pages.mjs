import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, administrator, base, browser, open, screenshot, signIn } from './world.mjs'

const pages = [
  '/', '/sessions', '/devices', '/access-groups', '/users', '/tokens', '/emergency/terminate', '/emergency/freeze', '/emergency/lockdown',
  '/reports/terminations', '/reports/freezes', '/reports/lockdowns', '/audit', '/notifications', '/policy', '/account',
]
const looks = [
  { scheme: 'light', language: 'en' },
  { scheme: 'dark', language: 'pt-BR' },
  { scheme: 'dark', language: 'en', width: 360, height: 780 },
  { scheme: 'light', language: 'pt-BR', width: 3840, height: 2160 },
]

for (const look of looks) {
  const name = Object.values(look).join('-')
  test(`Every page in ${name} has one h1, no violation, nothing sideways, no error`, async () => {
    const { page, context, calm } = await open(look)
    await signIn(context, administrator())
    for (const path of pages) {
      await page.goto(base + path)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.waitForLoadState('load')
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, path)
      assert.equal(await page.evaluate(() => document.documentElement.lang), look.language, path)
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      assert.ok(over <= 0, `${path} is ${over} px too wide`)
      await accessible(page, path)
      await screenshot(page, `${name}${path.replaceAll('/', '-')}`)
    }
    calm()
    await context.close()
  })
}

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
