// What the steps share: the running server, administrators with real MFA codes, and a real Chromium.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'

export const world = JSON.parse(process.env.PORTCULLIS_WORLD ?? 'null')
if (!world) throw new Error('PORTCULLIS_WORLD is not set: these steps are run by `go test ./browser` in deploy/e2e')

export const { base } = world
mkdirSync(world.screenshots, { recursive: true })
const run = promisify(execFile)
const step = 30

const base32 = (text) => {
  let bits = ''
  for (const c of text.replace(/=+$/, '')) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')
  return Buffer.from(bits.match(/.{8}/g).map((b) => Number.parseInt(b, 2)))
}

/** The code of one step of the clock, as any MFA app makes it (RFC 6238). */
export function codeAt(secret, at) {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(at))
  const mac = createHmac('sha1', base32(secret)).update(counter).digest()
  const offset = mac.at(-1) & 15
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

/** A code that wasn't used yet; it waits where the step before, now and after are used. */
export async function code(person) {
  const now = Date.now() / 1000
  const oldest = Math.floor(now / step) - (now % step > step - 10 ? 0 : 1)
  const next = Math.max(oldest, person.used + 1)
  const early = (next - 1) * step * 1000 + 100 - Date.now()
  if (early > 0) await sleep(early)
  person.used = next
  return codeAt(person.secret, next)
}

let turn = 0
/** Somebody of the crew, each time another. Each has two codes: one to sign in, one to act. */
export const administrator = () => world.people[turn++ % world.people.length]

export const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [...(world.hosts ? [`--host-resolver-rules=${world.hosts}`] : []), '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

/**
 * A page of its own, with nobody signed in. trouble collects console errors and requests that failed; what a step
 * provokes it takes out of there.
 */
export async function open({ scheme = 'light', language = 'en', width = 1440, height = 900 } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, locale: language, reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write'] })
  await context.addInitScript((l) => localStorage.getItem('portcullis.language') ?? localStorage.setItem('portcullis.language', l), language)
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  const trouble = []
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && trouble.push(`console: ${m.text()}`))
  page.on('pageerror', (e) => trouble.push(`error: ${e}`))
  page.on('requestfailed', (r) => !/ERR_ABORTED/.test(r.failure()?.errorText ?? '') && trouble.push(`failed: ${r.url()}`))
  return { page, context, trouble, calm: () => assert.deepEqual(trouble, []) }
}

/** Signs a person in without the form, as its own steps show that the form works. */
export async function signIn(context, person) {
  const answer = await context.request.post(`${base}/v1/sign-ins`, {
    headers: { 'X-Portcullis-Console': '1' },
    data: { username: person.name, password: person.password, code: person.secret ? await code(person) : undefined },
  })
  assert.equal(answer.status(), 200, await answer.text())
}

/** A call of the API by somebody who is signed in in a context. */
export async function call(context, method, path, data) {
  const answer = await context.request.fetch(base + path, { method, headers: { 'X-Portcullis-Console': '1', Origin: base }, data })
  return { status: answer.status(), body: await answer.json().catch(() => null) }
}

export async function grant(context, person, purpose) {
  const { status, body } = await call(context, 'POST', '/v1/grants', { code: await code(person), purpose })
  assert.equal(status, 200, JSON.stringify(body))
  return body.grant
}

/** Cancels whatever is on, so that each step begins with all doors open. */
export async function openDoors() {
  const { context } = await open()
  const person = administrator()
  await signIn(context, person)
  const { body: posture } = await call(context, 'GET', '/v1/posture')
  for (const e of posture.emergencies ?? []) {
    const kind = e.kind === 'LOCKDOWN' ? 'lockdowns' : 'freezes'
    const { status, body } = await call(context, 'POST', `/v1/${kind}/${e.id}:cancel`, { justification: 'The step is over', grant: await grant(context, person, 'cancel') })
    assert.equal(status, 200, JSON.stringify(body))
  }
  await context.close()
}

export const screenshot = (page, name) => page.screenshot({ path: join(world.screenshots, `${name}.png`) })

export async function accessible(page, what) {
  // By axe within the page: for frames it would open a page of its own each time, which takes four times as long.
  assert.equal(page.frames().length, 1, what)
  const axe = new AxeBuilder({ page }).options({ resultTypes: ['violations'] }).setLegacyMode()
  const { violations } = await axe.withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']).analyze()
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`), [], what)
}

/** Waits until something is so. */
export async function eventually(what, is, within = 10_000) {
  const end = Date.now() + within
  while (!(await is())) {
    if (Date.now() > end) assert.fail(`not within ${within} ms: ${what}`)
    await sleep(50)
  }
}

/** The command line, signed in as the demo's administrator. */
export const portcullis = (...args) => run(world.binary, args)
