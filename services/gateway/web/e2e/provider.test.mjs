// Signing in at an OpenID provider, taken by deploy/e2e/oidc beside a real one.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { base, browser, open, screenshot, world } from './world.mjs'

after(() => browser.close())

test('A person signs in at the provider, comes back to where they wanted to go, and signs out', async () => {
  const { page, context, calm } = await open()
  await page.goto(`${base}/devices?q=a`)
  const way = page.getByRole('link', { name: `Sign in with ${world.provider}` })
  await way.waitFor()
  await screenshot(page, 'provider')
  await way.click()
  await page.getByRole('heading', { level: 1, name: 'Devices' }).waitFor()
  const { origin, search } = new URL(page.url())
  assert.deepEqual([origin, search], [base, '?q=a'])
  const ours = (await context.cookies(base)).filter((c) => c.name === 'portcullis')
  assert.deepEqual(ours.map((c) => [c.httpOnly, c.sameSite]), [[true, 'Strict']])
  calm() // what is under way when one signs out is refused
  await page.getByRole('link', { name: `My account, ${world.person}` }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await way.waitFor()
  await page.goto(`${base}/devices`)
  await way.waitFor()
  await context.close()
})
