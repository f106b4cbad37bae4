import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, administrator, base, call, code, open, screenshot, signIn } from './world.mjs'

test('The doors are held from the page of the last resort: each says so, others are out, and it is on record as a lockdown', async () => {
  const person = administrator()
  const bystander = await open()
  await signIn(bystander.context, administrator())
  const { page, context, calm } = await open()
  await signIn(context, person)
  await page.goto(`${base}/emergency/hold`)
  await page.getByText('Nothing is held.').waitFor()
  await accessible(page, 'hold')
  await page.getByLabel('Digit 1 of 6').waitFor()
  await page.keyboard.type(await code(person))
  await page.getByRole('radio', { name: '15 min' }).click()
  await page.getByLabel('Justification', { exact: true }).fill('An intruder, and the journal is slow')
  await page.getByRole('textbox', { name: 'The word HOLD' }).fill('held')
  assert.ok(await page.getByRole('button', { name: 'Hold the doors' }).isDisabled(), 'another word holds')
  await page.getByRole('textbox', { name: 'The word HOLD' }).fill('hold')
  await page.keyboard.press('Enter')
  await page.getByText(/^([1-9]\d*) of \1 hold$/).waitFor()
  const { status } = await call(bystander.context, 'GET', '/v1/users/me')
  assert.equal(status, 401, 'somebody who was signed in still is')
  await page.getByRole('link', { name: /^L-/ }).waitFor() // the journal is there, so it has it
  await screenshot(page, 'hold')
  calm()
  await bystander.context.close()
  await context.close()
})
