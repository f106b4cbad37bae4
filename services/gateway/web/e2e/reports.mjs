import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { accessible, administrator, base, call, code, eventually, grant, open, screenshot, signIn } from './world.mjs'

/** A freeze by somebody else than who looks at it. */
async function frozen(body) {
  const { context } = await open()
  const person = administrator()
  await signIn(context, person)
  const { status, body: made } = await call(context, 'POST', '/v1/freezes', { duration: '7200s', ...body, grant: await grant(context, person, 'freeze'), requestId: crypto.randomUUID() })
  assert.equal(status, 200, JSON.stringify(made))
  await context.close()
  return made
}

async function prove(page, person) {
  await page.getByLabel('Digit 1 of 6').waitFor()
  await page.keyboard.type(await code(person))
  await page.getByText('Code accepted.').waitFor()
}

test('A freeze is shortened from its report, by keyboard and once, though the answer is lost', async () => {
  const made = await frozen({ justification: 'Longer than needed' })
  const person = administrator()
  const { page, context } = await open()
  await signIn(context, person)
  await page.goto(`${base}/reports/freezes?q=${made.id}`)
  await page.getByRole('link', { name: `Shorten ${made.id}` }).press('Enter')
  await prove(page, person)
  await page.keyboard.press('2') // 15 min
  await page.getByRole('radio', { name: '15 min' }).and(page.locator('[aria-checked=true]')).waitFor()
  await accessible(page, 'shorten')
  await page.getByLabel('Justification', { exact: true }).fill('It is found')
  let sent = 0
  await page.route('**/v1/freezes/*:shorten', async (route) => {
    if (sent++ > 0) return route.continue()
    await route.fetch()
    await route.abort('connectionreset')
  })
  await page.keyboard.press('Control+Enter')
  await page.keyboard.press('Enter')
  await page.waitForURL(new RegExp(`emergencies/${made.id}$`))
  const { body: now } = await call(context, 'GET', `/v1/freezes/${made.id}`)
  const left = (Date.parse(now.endTime) - Date.now()) / 60_000
  assert.ok(left > 13 && left <= 15, `it ends in ${left} min`)
  assert.equal(now.status, 'ONGOING')
  assert.ok(sent >= 2, `it asked ${sent} times`)
  await page.getByRole('link', { name: 'Shorten' }).waitFor()
  await context.close()
})

test('A report is narrowed by its address alone, counts what there is, and exports what it shows', async () => {
  const ticket = `CHG${Date.now()}`
  const made = await frozen({ justification: '=cmd|calc "quoted", línea', governanceCode: ticket })
  const { page, context, calm } = await open()
  await signIn(context, administrator())
  await page.goto(`${base}/reports/freezes`)
  await page.getByRole('searchbox', { name: 'Id, person, justification, ticket' }).fill(`CALC ${ticket.toLowerCase()}`)
  await page.waitForURL(/q=CALC/)
  await page.getByText('1 to 1 of 1').waitFor()
  await page.getByRole('button', { name: 'Ongoing 1' }).click()
  await page.getByRole('combobox', { name: 'Time' }).selectOption('Last 24 hours')
  await page.getByRole('combobox', { name: 'Access group' }).fill('pay')
  await page.getByRole('option', { name: 'payments' }).click()
  await page.getByRole('button', { name: 'Window' }).click()
  await page.waitForURL((url) => ['status=ONGOING', 'last=1d', 'group=payments', 'sort=-startTime'].every((part) => url.search.includes(part)))
  const shared = page.url()
  await page.goto(`${base}/reports/lockdowns`)
  await page.goto(shared)
  await page.getByRole('row').filter({ hasText: made.id }).getByText(/\d+ devices?/).waitFor()
  await page.locator('th[aria-sort=descending]', { hasText: 'Window' }).waitFor()
  await screenshot(page, 'report-narrowed')
  await accessible(page, 'report')
  const exported = async (type) => {
    await page.getByRole('button', { name: 'Export' }).click()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: type }).click()])
    return readFile(await download.path(), 'utf8')
  }
  const csv = (await exported(/CSV/)).split('\r\n')
  assert.match(csv[0], /^\uFEFFid,kind,status,/)
  assert.equal(csv.length, 3, csv.join('\n'))
  assert.ok(csv[1].includes(`"'=cmd|calc ""quoted"", línea"`), csv[1])
  assert.deepEqual(JSON.parse(await exported('JSON')).map((e) => [e.id, e.governanceCode]), [[made.id, ticket]])
  await page.goBack()
  await page.getByRole('heading', { level: 1, name: 'Lockdown' }).waitFor()
  calm()
  await context.close()
})

test('A lockdown says before and after Apply whom it lets through', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  await page.goto(`${base}/emergency/lockdown`)
  await page.getByRole('radio', { name: 'Later' }).click() // it is not to end the sessions of the other steps
  await page.getByLabel('Justification', { exact: true }).fill('A drill with a night shift')
  await page.getByText('Let more through').click()
  const users = page.getByRole('combobox', { name: 'Users let through' })
  await users.fill('alice')
  await page.getByRole('option', { name: 'alice' }).click()
  await page.getByText('1 more by this lockdown.').waitFor()
  await page.getByRole('complementary').getByText('user, this lockdown only').waitFor()
  await page.reload() // what was typed stays
  await prove(page, person)
  await page.getByText('1 more by this lockdown.').waitFor()
  await accessible(page, 'break-glass')
  await screenshot(page, 'lockdown-break-glass')
  await page.getByRole('textbox', { name: 'Type LOCKDOWN to apply' }).fill('lockdown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/emergencies\/L-/)
  await page.getByRole('heading', { level: 1, name: 'Lockdown planned' }).waitFor()
  await page.getByRole('definition').getByText('alice').waitFor()
  const id = new URL(page.url()).pathname.split('/').at(-1)
  const { body: made } = await call(context, 'GET', `/v1/lockdowns/${id}`)
  assert.deepEqual(made.breakGlassUsers, ['alice'])
  calm()
  await context.close()
})

test('All that is known of an emergency is on one page, in both languages and themes, narrow, and on paper without what one clicks', async () => {
  const made = await frozen({ justification: 'For the auditor', governanceCode: 'CHG-77' })
  for (const look of [{ scheme: 'light', language: 'en' }, { scheme: 'dark', language: 'pt-BR', width: 360, height: 780 }]) {
    const { page, context, calm } = await open(look)
    await signIn(context, administrator())
    await page.goto(`${base}/reports/freezes?q=${made.id}&details=${made.id}`)
    await page.getByRole('dialog').getByRole('link', { name: look.language === 'en' ? 'Report' : 'Relatório', exact: true }).click()
    await page.waitForURL(new RegExp(`emergencies/${made.id}/report$`))
    await page.getByRole('heading', { level: 2, name: look.language === 'en' ? 'Timeline' : 'Linha do tempo' }).waitFor()
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1)
    await page.getByText('For the auditor').first().waitFor()
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    assert.ok(over <= 0, `it is ${over} px too wide`)
    await accessible(page, 'report')
    await screenshot(page, `report-${look.language}`)
    await page.emulateMedia({ media: 'print' })
    for (const gone of [page.getByRole('navigation'), page.getByRole('button')]) assert.equal(await gone.filter({ visible: true }).count(), 0)
    assert.equal(await page.locator('.after').evaluate((e) => getComputedStyle(e).color), 'rgb(0, 0, 0)')
    calm()
    await context.close()
  }
})

test('A drill is run from its page, says what every door would have done, and touches nobody', async () => {
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  const open_ = async () => ((await call(context, 'GET', '/v1/sessions?pageSize=1000')).body.sessions ?? []).filter((s) => s.state === 'OPEN').map((s) => s.id).sort()
  const before = await open_()
  await page.goto(`${base}/drills`)
  await page.getByRole('radio', { name: 'Lockdown' }).click()
  await page.getByLabel('Justification', { exact: true }).fill('The drill of this quarter')
  await page.getByLabel('Digit 1 of 6').focus()
  await prove(page, person)
  await page.getByRole('button', { name: 'Start the drill' }).click()
  await page.waitForURL(/drills\/D-/)
  await page.getByText('Every door confirmed').waitFor()
  const { body: posture } = await call(context, 'GET', '/v1/posture')
  assert.equal(posture.lockdown ?? null, null)
  const id = new URL(page.url()).pathname.split('/').at(-1)
  const drill = async () => (await call(context, 'GET', `/v1/drills/${id}`)).body
  await eventually('every session is counted', async () => (await drill()).result.wouldEnd >= before.length)
  await page.getByRole('button', { name: 'End the drill' }).click()
  await page.getByText('Ended early', { exact: true }).waitFor()
  const { status, endedBy, result } = await drill()
  assert.deepEqual([status, endedBy, result.confirmed], ['CANCELLED', person.name, result.receipts.length])
  assert.deepEqual(await open_(), before)
  await accessible(page, 'drill')
  await screenshot(page, 'drill')
  calm()
  await context.close()
})

test('What waits for a second administrator is read and approved on the overview', async () => {
  const change = async (secondAdministrator) => {
    const { context } = await open()
    const person = administrator()
    await signIn(context, person)
    const answer = await call(context, 'PATCH', '/v1/policy', { secondAdministrator, justification: 'Two see more', grant: await grant(context, person, 'policy'), requestId: crypto.randomUUID() })
    await context.close()
    return answer
  }
  const { status, body: on } = await change(true)
  assert.equal(status, 200, JSON.stringify(on))
  const { body: asked } = await change(false)
  assert.equal(asked.reason, 'APPROVAL_REQUIRED', JSON.stringify(asked))
  const id = asked.details.approval
  const person = administrator()
  const { page, context, calm } = await open()
  await signIn(context, person)
  await page.goto(`${base}/`)
  const waits = page.getByRole('listitem', { name: id })
  await waits.getByText('Opening early takes one administrator again.').waitFor()
  await waits.getByText('Two see more').waitFor()
  await accessible(page, 'approvals')
  await waits.getByRole('button', { name: 'Approve' }).press('Enter')
  await prove(page, person)
  await waits.getByRole('button', { name: 'Approve' }).press('Enter')
  await page.getByText(`${id} is approved.`).waitFor()
  assert.ok(!(await call(context, 'GET', '/v1/policy')).body.secondAdministrator, 'it is still on')
  calm()
  await context.close()
})
