import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { accessible, administrator, base, code, eventually, open, screenshot, signIn } from './world.mjs'

const pages = [
  '/', '/sessions', '/devices', '/access-groups', '/users', '/tokens', '/emergency/terminate', '/emergency/freeze', '/emergency/lock', '/emergency/lockdown',
  '/reports/terminations', '/reports/freezes', '/reports/locks', '/reports/lockdowns', '/audit', '/notifications', '/policy', '/account',
]
const looks = [
  { scheme: 'light', language: 'en' },
  { scheme: 'dark', language: 'pt-BR' },
  { scheme: 'dark', language: 'en', width: 360, height: 780 },
  { scheme: 'light', language: 'pt-BR', width: 3840, height: 2160 },
]

// They only look, so two look at a time.
describe('Every page', { concurrency: 2 }, () => {
  for (const look of looks) {
    const name = Object.values(look).join('-')
    test(`in ${name} has one h1, no violation, nothing sideways, no error`, async () => {
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
})

const scheme = (page, name) => page.locator(`html[data-mantine-color-scheme=${name}]`).waitFor({ state: 'attached' })

test('Theme, language and single keys are after a reload as one left them', async () => {
  const { page, context } = await open()
  await page.goto(`${base}/sign-in`)
  await page.getByRole('button', { name: 'Dark theme' }).click()
  await page.getByLabel('Language').selectOption('pt-BR')
  await page.getByRole('heading', { level: 1, name: 'Entrar' }).waitFor()
  await signIn(context, administrator())
  await page.goto(`${base}/account`)
  await page.getByRole('heading', { level: 1, name: 'Minha conta' }).waitFor()
  await scheme(page, 'dark')
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Teclas' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('switch', { name: 'Atalhos de uma tecla' }).focus()
  await page.keyboard.press('Space')
  await page.reload()
  await page.getByRole('heading', { level: 1, name: 'Minha conta' }).waitFor()
  await scheme(page, 'dark')
  await page.keyboard.press('?')
  assert.equal(await page.getByRole('dialog').count(), 0)
  await page.getByRole('button', { name: 'Tema claro' }).click()
  await scheme(page, 'light')
  await context.close()
})

test('By keyboard: past the menu, into the panel, through Find and the list of keys, and back to where one was', async () => {
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  await page.goto(base)
  await page.getByRole('heading', { level: 1 }).waitFor()
  const focused = (locator) => eventually('it has the focus', () => locator.evaluate((e) => e === document.activeElement))
  await page.keyboard.press('Tab')
  await focused(page.getByRole('link', { name: 'Skip to the page' }))
  await page.keyboard.press('Enter')
  await focused(page.getByRole('main'))
  const range = page.getByRole('button', { name: '24 h' })
  await range.focus()
  await page.keyboard.type('ge')
  await focused(page.getByRole('menuitem', { name: 'Terminate sessions' }))
  await page.keyboard.press('ArrowUp')
  await focused(page.getByRole('menuitem', { name: 'Hold the doors' }))
  await page.keyboard.press('Escape')
  await focused(range)
  await page.keyboard.press('?')
  await focused(page.getByRole('dialog').getByRole('button', { name: 'Close' }))
  await page.keyboard.press('Escape')
  await focused(range)
  await page.keyboard.press('/')
  await page.keyboard.type('audi')
  await page.getByRole('option', { name: 'Audit', selected: true }).waitFor()
  await page.keyboard.press('Escape')
  await focused(range)
  await page.keyboard.type('/db-1')
  await page.getByRole('option', { name: 'db-1' }).waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(/devices\?q=db-1/)
  await focused(page.getByRole('main')) // which says its name, and where the next Tab goes on
  calm()
  await context.close()
})

test('Whoever signs in next at a browser sees nothing of the one before, and an administrator without MFA is told', async () => {
  const before = administrator()
  const next = administrator()
  const { page, context } = await open()
  await signIn(context, before)
  await page.goto(`${base}/devices`)
  await page.getByText('db-1').first().waitFor()
  const other = await context.newPage()
  await other.goto(`${base}/users`)
  await other.getByRole('heading', { level: 1, name: 'Users and roles' }).waitFor()
  await page.getByRole('link', { name: /^My account/ }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('User name').waitFor()
  await other.getByLabel('User name').waitFor() // the other tab of that browser too
  await page.evaluate((name) => {
    window.seen = []
    const look = () => document.body.innerText.includes(name) && window.seen.push(document.body.innerText)
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  }, before.name)
  await page.route('**/v1/sign-ins', async (route) => {
    const answer = await route.fetch()
    const body = await answer.json()
    await route.fulfill({ response: answer, json: body.user ? { ...body, user: { ...body.user, mfa: 'NONE' } } : body })
  })
  await page.getByLabel('User name').fill(next.name)
  await page.getByLabel('Password', { exact: true }).fill(next.password)
  await page.keyboard.press('Enter')
  await page.getByLabel('Digit 1 of 6').waitFor()
  await page.keyboard.type(await code(next))
  await page.getByRole('heading', { level: 1, name: 'My account' }).waitFor() // where an MFA is enrolled
  await page.getByRole('link', { name: 'Overview' }).click()
  await page.getByText('You have no active MFA.').waitFor()
  await page.getByRole('button', { name: 'Not now' }).click()
  await page.getByText('You have no active MFA.').waitFor({ state: 'detached' })
  assert.deepEqual(await page.evaluate(() => window.seen), [])
  await context.close()
})
