import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, administrator, base, browser, code, screenshot } from './world.mjs'

test('Without a script the plain panel locks down, shows how far it is, and cancels; sent twice it acts once', async () => {
  const person = administrator()
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${base}/plain`)
  await page.getByLabel('User').fill(person.name)
  await page.getByLabel('Password').fill(person.password)
  await page.getByLabel('Code from your MFA app').fill(await code(person))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByLabel('Lock the platform down').check()
  await page.getByLabel('For how many minutes').fill('10')
  await page.getByLabel('Justification').fill('A <b>stolen</b> laptop')
  await page.getByLabel('Type TERMINATE').fill('freeze')
  await page.getByLabel('Code from your MFA app').fill(await code(person))
  await page.getByRole('button', { name: 'Apply' }).click()
  await page.getByText('INVALID_ARGUMENT').waitFor() // the word is another's; the code was not spent
  await page.getByLabel('Type TERMINATE').fill('lockdown')
  person.used--
  const form = await page.getByLabel('Code from your MFA app').first().evaluate((field) => field.form.requestId.value)
  const spent = await code(person)
  await page.getByLabel('Code from your MFA app').first().fill(spent)
  await page.getByRole('button', { name: 'Apply' }).click()
  await page.getByText('is under Lockdown until').first().waitFor()
  const id = new URL(page.url()).searchParams.get('id')
  assert.match(id, /^L-/)
  await screenshot(page, 'plain-lockdown')
  const again = await context.request.post(`${base}/plain/apply`, {
    headers: { Origin: base }, maxRedirects: 0,
    form: { kind: 'lockdown', minutes: '10', justification: 'A <b>stolen</b> laptop', word: 'LOCKDOWN', code: spent, requestId: form },
  })
  assert.equal(again.headers().location, `/plain?id=${id}`)
  const cancels = page.locator('form', { has: page.getByRole('button', { name: `Cancel ${id}` }) })
  await cancels.getByLabel('Justification').fill('Found')
  await cancels.getByLabel('Code from your MFA app').fill(await code(person))
  await cancels.getByRole('button').click()
  await page.getByText('No lockdown is on.').waitFor()
  await context.close()
})

test('The plain panel speaks Portuguese, and has nothing that axe finds', async () => {
  const context = await browser.newContext({ locale: 'pt-BR' })
  const page = await context.newPage()
  await page.goto(`${base}/plain`)
  await page.getByText('Nenhum lockdown em vigor.').waitFor()
  await accessible(page, 'plain')
  await context.close()
})
