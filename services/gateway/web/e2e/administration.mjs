import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accessible, administrator, base, call, open, screenshot, signIn } from './world.mjs'

const save = (page) => page.locator('.editor button[type=submit]')
const saved = (page) => page.locator('.editor').waitFor({ state: 'detached' })

/** Makes something by hand: opens its editor, fills in, and saves by a double click, which counts once. */
async function make(page, path, button, fill) {
  await page.goto(base + path)
  await page.getByRole('button', { name: button }).click()
  await fill()
  await save(page).dblclick()
  await saved(page)
}

const named = (page, name) => page.getByLabel('Name', { exact: true }).fill(name)
const text = (page, name) => page.getByRole('textbox', { name })

async function member(page, field, name) {
  await text(page, field).fill(name)
  await page.getByRole('option', { name, exact: true }).click()
}

test('A user, a device and a group of both are made by hand, and a device\'s key is seen before it is pinned', async () => {
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  const { body: known } = await call(context, 'GET', '/v1/devices/db-1')
  await make(page, '/users?q=ulla', 'New user', async () => {
    await named(page, 'ulla')
    await page.getByLabel('Display name').fill('<b>Ulla</b> \u05d0\u05d1')
  })
  await page.locator('tr', { hasText: 'ulla' }).getByText('<b>Ulla</b>').waitFor()
  await make(page, '/devices?q=attic', 'New device', async () => {
    await named(page, 'attic')
    await page.getByLabel('Host', { exact: true }).fill(known.host)
    await page.getByLabel('Port', { exact: true }).fill(String(known.port))
  })
  await page.getByRole('button', { name: 'Actions for attic' }).click()
  await page.getByRole('menuitem', { name: 'Trust host key' }).click()
  await page.getByRole('button', { name: 'Show the key' }).click()
  await page.getByText(known.hostKeyFingerprint).waitFor()
  assert.equal((await call(context, 'GET', '/v1/devices/attic')).body.hostKey, '', 'looking pins nothing')
  await accessible(page, 'the key that is shown')
  await screenshot(page, 'trust')
  await page.getByLabel('I have compared it').check()
  await page.getByRole('button', { name: 'Pin this key' }).click()
  await saved(page)
  assert.equal((await call(context, 'GET', '/v1/devices/attic')).body.hostKey, known.hostKey)
  await make(page, '/access-groups?q=attic', 'New access group', async () => {
    await named(page, 'attic-people')
    await member(page, 'Add users by name', 'ulla')
    await member(page, 'Add devices by name', 'attic')
  })
  await page.getByRole('row', { name: /attic-people 1 1 No/ }).waitFor()
  for (const path of ['access-groups/attic-people', 'devices/attic', 'users/ulla']) assert.equal((await call(context, 'DELETE', `/v1/${path}`)).status, 200, path)
  calm()
  await context.close()
})

test('Of two who edit a group, the second is told by whom it was changed, and loses nothing of either', async () => {
  const first = await open()
  const second = await open({ language: 'pt-BR' })
  const earlier = administrator()
  await signIn(first.context, earlier)
  await signIn(second.context, administrator())
  assert.equal((await call(first.context, 'POST', '/v1/access-groups', { name: 'shared', devices: ['db-1'] })).status, 200)
  for (const { page } of [first, second]) {
    await page.goto(`${base}/access-groups?q=shared`)
    await page.getByRole('button', { name: 'shared', exact: true }).click()
  }
  await member(first.page, 'Add devices by name', 'web-1')
  await save(first.page).click()
  await saved(first.page)
  await second.page.getByRole('button', { name: 'Retirar db-1' }).click()
  await member(second.page, 'Acrescentar dispositivos pelo nome', 'web-2')
  await save(second.page).click()
  await second.page.getByText(`${earlier.name}\u2069 alterou este grupo`).waitFor()
  await accessible(second.page, 'the conflict')
  await screenshot(second.page, 'conflict')
  await second.page.getByRole('button', { name: 'Carregar e manter minhas alterações' }).click()
  await second.page.getByText('Este é o grupo como está agora').waitFor()
  await save(second.page).click()
  await saved(second.page)
  const { body } = await call(first.context, 'GET', '/v1/access-groups/shared')
  assert.deepEqual([...body.devices].sort(), ['web-1', 'web-2'])
  await call(first.context, 'DELETE', '/v1/access-groups/shared')
  await first.context.close()
  await second.context.close()
})

test('A refusal names the field and speaks the reader\'s language, and what was lost on the way is done once', async () => {
  const { page, context } = await open({ language: 'pt-BR' })
  await signIn(context, administrator())
  await page.goto(`${base}/devices?q=porao`)
  await page.getByRole('button', { name: 'Novo dispositivo' }).click()
  await page.getByLabel('Nome', { exact: true }).fill('porão')
  await page.getByLabel('Endereço', { exact: true }).fill('10.0.0.7')
  await save(page).click()
  const note = page.locator('.editor .note.refusal')
  await note.getByText('Use letras, dígitos').waitFor()
  assert.match(await note.innerText(), /^Nome: .*INVALID_ARGUMENT$/s)
  const field = page.getByLabel('Nome', { exact: true })
  const described = (await field.getAttribute('aria-describedby')).split(' ').map((id) => `#${id}`)
  assert.match((await Promise.all(described.map((id) => page.locator(id).innerText()))).join(' '), /Não aceito: Use letras/)
  await field.fill('porao')
  let lose = true
  await page.route('**/v1/devices', async (route) => {
    if (route.request().method() !== 'POST' || !lose) return route.continue()
    lose = false
    await route.fetch()
    return route.abort()
  })
  await save(page).click()
  await note.getByText('Não se sabe se isto foi feito').waitFor()
  await save(page).click()
  await saved(page)
  await page.getByRole('button', { name: 'porao', exact: true }).waitFor()
  await call(context, 'DELETE', '/v1/devices/porao')
  await context.close()
})

test('A token is copied once, is found by what is in its name, and goes', async () => {
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  await make(page, '/tokens', 'New token', () => named(page, 'Nightly AND weekly'))
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^pct_/)
  await page.getByRole('button', { name: 'I have kept it' }).click()
  const row = page.locator('tr', { hasText: 'Nightly' })
  await page.getByRole('searchbox', { name: 'In the name, id or maker' }).fill('and WEEKLY')
  await page.waitForURL(/WEEKLY/)
  await row.waitFor()
  await page.getByLabel('Channel').selectOption('AGENT')
  await page.getByText('No token is like that').waitFor()
  await page.getByLabel('Channel').selectOption('')
  await row.getByRole('button', { name: /Actions/ }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await page.getByRole('button', { name: 'Delete' }).dblclick()
  await row.waitFor({ state: 'detached' })
  calm()
  await context.close()
})
