import { useEffect, useRef, useState } from 'react'
import { useMe, useSetMe } from '../../app/me'
import { Empty, RefusalNote } from '../../parts/Note'
import { fieldOf } from '../../parts/reasons'
import { Field } from './Field'
import { account } from './text'
import { useUpdateMe } from './useUpdateMe'
import { useSingle } from '../../parts/single'

const most = 50

/** The public keys that open sessions through the bastion. */
export function SshKeys() {
  const t = account.useTexts()
  const keys = useMe().sshPublicKeys ?? []
  const [adding, setAdding] = useState(false)
  const set = useSetMe()
  const heading = useRef<HTMLHeadingElement>(null)
  const remove = useUpdateMe((user) => {
    set(user)
    heading.current?.focus() // which was on a button that is gone
  })
  return (
    <section className="card" aria-labelledby="acct-keys">
      <header>
        <h2 className="grow" id="acct-keys" ref={heading} tabIndex={-1}>{t('keys')}</h2>
        {!adding && keys.length < most && <button type="button" className="btn sm" onClick={() => setAdding(true)}>{t('addKey')}</button>}
      </header>
      <div className="body">
        <p className="sm mid">{t('keysText')}</p>
        {remove.isError && <RefusalNote error={remove.error} />}
        {keys.length === 0 && !adding && <Empty>{t('noKeys')}</Empty>}
        <ul className="keylist">
          {keys.map((key) => (
            <Key key={key} line={key} busy={remove.isPending} remove={() => remove.mutate({ sshPublicKeys: keys.filter((k) => k !== key) })} />
          ))}
        </ul>
        {adding && <AddKey keys={keys} close={() => setAdding(false)} />}
      </div>
    </section>
  )
}

function Key({ line, busy, remove }: { line: string; busy: boolean; remove: () => void }) {
  const t = account.useTexts()
  const [asked, setAsked] = useState(false)
  const [type, , ...rest] = line.trim().split(/\s+/)
  const print = useFingerprint(line)
  const name = rest.join(' ') || t('unnamed')
  return (
    <li className="row g3">
      <div className="grow">
        <span className="m sm cut"><bdi>{name}</bdi></span>
        <span className="mono xs dim cut" title={print}>{type} {print}</span>
      </div>
      {asked ? (
        <span className="row" role="group" aria-label={t('sure')}>
          <span className="sm">{t('sure')}</span>
          <button type="button" className="btn sm" autoFocus disabled={busy} onClick={remove}>{t('remove')}</button>
          <button type="button" className="btn sm quiet" onClick={() => setAsked(false)}>{t('keep')}</button>
        </span>
      ) : (
        <button type="button" className="btn sm quiet" aria-label={t('removeKey', { name })} onClick={() => setAsked(true)}>{t('remove')}</button>
      )}
    </li>
  )
}

/** A key as ssh-keygen -l names it; where the browser won't count hashes, the end of the key itself. */
function useFingerprint(line: string): string {
  const body = line.trim().split(/\s+/)[1] ?? ''
  const [print, setPrint] = useState(`…${body.slice(-24)}`)
  useEffect(() => {
    let gone = false
    const count = async () => {
      const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0))
      const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      if (!gone) setPrint(`SHA256:${btoa(String.fromCharCode(...sum)).replace(/=+$/, '')}`)
    }
    if (crypto.subtle) count().catch(() => undefined)
    return () => { gone = true }
  }, [body])
  return print
}

function AddKey({ keys, close }: { keys: string[]; close: () => void }) {
  const t = account.useTexts()
  const [line, setLine] = useState('')
  const [twice, setTwice] = useState(false)
  const set = useSetMe()
  const add = useUpdateMe((user) => {
    set(user)
    close()
  })
  const single = useSingle(add.isPending, add.error)
  const body = (key: string) => key.trim().split(/\s+/)[1]
  const wrong = fieldOf(add.error) === 'sshPublicKeys'
  const why = wrong ? t('keyBad') : undefined
  return (
    <form
      className="add"
      onSubmit={(e) => {
        e.preventDefault()
        const there = keys.some((key) => body(key) === body(line))
        setTwice(there)
        if (!there) single(() => add.mutate({ sshPublicKeys: [...keys, line.trim()] }))
      }}
    >
      <Field label={t('key')} hint={t('keyHint')} error={twice ? t('twice') : why}>
        {(control) => (
          <textarea
            {...control} className="in area mono" rows={4} required autoFocus spellCheck={false} maxLength={16384} placeholder="ssh-ed25519 AAAA…"
            value={line}
            onChange={(e) => {
              setTwice(false)
              if (add.isError) add.reset()
              setLine(e.target.value)
            }}
          />
        )}
      </Field>
      {add.isError && !wrong && <RefusalNote error={add.error} />}
      <div className="row">
        <button type="submit" className="btn pri" disabled={!line.trim() || add.isPending}>{add.isPending ? t('saving') : t('add')}</button>
        <button type="button" className="btn" onClick={close}>{t('cancel')}</button>
      </div>
    </form>
  )
}
