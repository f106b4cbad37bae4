import { Drawer, Switch as MantineSwitch } from '@mantine/core'
import { type FormEvent, type ReactNode, useId, useRef, useState } from 'react'
import { useFocusBack } from '../app/focus'
import { shell } from '../app/text'
import { newId } from '../app/id'
import type { Grant } from './GrantStep'
import { GrantStep } from './GrantStep'
import { fieldTexts } from './fields'
import { listTexts } from './list-text'
import { RefusalNote } from './Note'
import { useSingle } from './single'
import './list.css'

/** A request id for what is asked: the same for a retry of it, another once it was changed. */
export function useIntent() {
  const last = useRef({ of: '', id: '' })
  return (asked: unknown): string => {
    const of = JSON.stringify(asked)
    if (last.current.of !== of) last.current = { of, id: newId() }
    return last.current.id
  }
}

/** The fields that differ; a PATCH carries no others. */
export function changes<T extends object>(before: T, after: T): Partial<T> {
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key as keyof T]))) as Partial<T>
}

export { errorOf } from './reasons'

/**
 * A form in a drawer. Esc and the cross close it, after asking if something is not saved. The parent renders it only
 * while it is open, so that each opening starts anew.
 */
export function Editor({ title, close, save, text, busyText, busy, error, note, dirty, ready = true, children }: {
  title: string
  close: () => void
  save?: () => void
  /** What the button says; Save by itself. */
  text?: string
  /** What it says meanwhile; Saving by itself. */
  busyText?: string
  busy?: boolean
  error?: unknown
  /** What stands by the button, in the place of an error. */
  note?: ReactNode
  dirty?: boolean
  ready?: boolean
  children: ReactNode
}) {
  const t = listTexts.useTexts()
  const s = shell.useTexts()
  useFocusBack()
  const [leaving, leave] = useState(false)
  const single = useSingle(busy, error)
  const shut = () => (dirty && !leaving ? leave(true) : close())
  const submit = (e?: FormEvent) => {
    e?.preventDefault()
    if (save && ready) single(save)
  }
  return (
    <Drawer
      opened
      onClose={shut}
      position="right"
      size="min(580px, 100%)"
      title={<bdi className="b">{title}</bdi>}
      closeButtonProps={{ 'aria-label': t('closeEditor') }}
      styles={{ body: { padding: 0, flex: 1 }, content: { display: 'flex', flexDirection: 'column' }, header: { padding: '14px 20px' }, title: { overflowWrap: 'anywhere', minWidth: 0 } }}
      transitionProps={{ duration: 120 }}
    >
      <form
        className="editor"
        noValidate
        onSubmit={submit}
        onKeyDown={(e) => {
          if (!(e.ctrlKey || e.metaKey) || e.key !== 's') return
          e.preventDefault()
          submit()
        }}
      >
        <div className="fields">{children}</div>
        <footer>
          {note ?? (Boolean(error) && <RefusalNote error={error} />)}
          {leaving && dirty ? (
            <div className="btns" role="alert">
              <span className="grow sm">{t('unsaved')}</span>
              <button type="button" className="btn" onClick={close}>{t('leave')}</button>
              <button type="button" className="btn pri" onClick={() => leave(false)}>{t('stay')}</button>
            </div>
          ) : (
            <div className="btns">
              <button type="button" className="btn" onClick={shut}>{save ? s('cancel') : s('close')}</button>
              {save && <button type="submit" className="btn pri" disabled={!ready || busy}>{busy ? (busyText ?? t('saving')) : (text ?? s('save'))} <kbd className="ctrls" aria-hidden>Ctrl S</kbd></button>}
            </div>
          )}
        </footer>
      </form>
    </Drawer>
  )
}

type Given = { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }

/** One field: its label, what it takes, and what is wrong with it, which belongs to it for everybody. */
export function Field({ label, hint, error, optional, children }: { label: string; hint?: ReactNode; error?: string; optional?: boolean; children: (given: Given) => ReactNode }) {
  const id = useId()
  const s = shell.useTexts()
  const t = listTexts.useTexts()
  const describes = [hint && `${id}h`, error && `${id}e`].filter(Boolean).join(' ')
  return (
    <div>
      <label className="f" htmlFor={id}>{label} {optional && <span className="dim">({s('optional')})</span>}</label>
      {children({ id, 'aria-describedby': describes || undefined, 'aria-invalid': error ? true : undefined })}
      {hint && <div className="hint" id={`${id}h`}><span>{hint}</span></div>}
      {error && <div className="hint err" id={`${id}e`}><span><b className="b">{t('refused')}:</b> {error}</span></div>}
    </div>
  )
}

/** A field of one line. */
export function Text({ value, change, type, length, mono, focus, required, ...field }: {
  label: string; hint?: ReactNode; error?: string; optional?: boolean
  value: string; change: (value: string) => void; type?: string; length?: number; mono?: boolean; focus?: boolean; required?: boolean
}) {
  return (
    <Field {...field}>
      {(given) => (
        <input
          {...given}
          className={`in${mono ? ' mono' : ''}`}
          type={type}
          value={value}
          maxLength={length}
          required={required}
          data-autofocus={focus || undefined}
          dir="auto"
          spellCheck={false}
          autoComplete={type === 'password' ? 'new-password' : 'off'}
          onChange={(e) => change(e.target.value)}
        />
      )}
    </Field>
  )
}

/** A field of several lines. */
export function Area({ value, change, length, mono, ...field }: {
  label: string; hint?: ReactNode; error?: string; optional?: boolean; value: string; change: (value: string) => void; length?: number; mono?: boolean
}) {
  return (
    <Field {...field}>
      {(given) => <textarea {...given} className={`in area${mono ? ' mono' : ''}`} value={value} maxLength={length} rows={3} dir={mono ? 'ltr' : 'auto'} spellCheck={!mono} onChange={(e) => change(e.target.value)} />}
    </Field>
  )
}

export function Switch({ label, hint, on, change, disabled }: { label: string; hint?: ReactNode; on: boolean; change: (on: boolean) => void; disabled?: boolean }) {
  return <MantineSwitch label={label} description={hint} checked={on} disabled={disabled} onChange={(e) => change(e.currentTarget.checked)} withThumbIndicator={false} />
}

/** Some of a few. */
export function Checks({ legend, hint, options, value, change, error }: {
  legend: string; hint?: ReactNode; error?: string; options: { value: string; text: ReactNode; off?: boolean }[]; value: string[]; change: (value: string[]) => void
}) {
  const id = useId()
  const t = listTexts.useTexts()
  return (
    <fieldset className="checks" aria-describedby={hint || error ? id : undefined}>
      <legend className="lab">{legend}</legend>
      {options.map((o) => (
        <label className="ck" key={o.value}>
          <input type="checkbox" checked={value.includes(o.value)} disabled={o.off} onChange={(e) => change(e.target.checked ? [...value, o.value] : value.filter((v) => v !== o.value))} />
          <span>{o.text}</span>
        </label>
      ))}
      {(hint || error) && <div className={`hint${error ? ' err' : ''}`} id={id}><span>{error ? <><b className="b">{t('refused')}:</b> {error}</> : hint}</span></div>}
    </fieldset>
  )
}

export type Proof = { grant: Grant | undefined; why: string; ticket: string }

export const noProof: Proof = { grant: undefined, why: '', ticket: '' }
export const proven = (p: Proof) => p.grant !== undefined && p.why.trim() !== ''

/** The fresh code and the justification that a guarded act takes; one that opens what an emergency closes, a ticket too. */
export function ProofStep({ purpose, proof, change, error, focus }: { purpose: string; proof: Proof; change: (make: (before: Proof) => Proof) => void; error?: string; focus?: boolean }) {
  const t = listTexts.useTexts()
  return (
    <>
      <div>
        <p className="lab">{t('proof')}</p>
        <GrantStep purpose={purpose} grant={proof.grant} change={useStable((grant) => change((before) => ({ ...before, grant })))} focus={focus} />
        <p className="hint">{t('proofHint')}</p>
      </div>
      <Area label={t('why')} hint={t('whyHint')} value={proof.why} length={2000} error={error} change={(why) => change((before) => ({ ...before, why }))} />
      {purpose === 'access-group' && <Text label={fieldTexts.say('governanceCode')} hint={t('ticketHint')} optional mono value={proof.ticket} length={2000} change={(ticket) => change((before) => ({ ...before, ticket }))} />}
    </>
  )
}

/** The same function at each render, so that effects that hold it don't start anew. */
function useStable<A>(of: (a: A) => void): (a: A) => void {
  const last = useRef(of)
  last.current = of
  return useRef((a: A) => last.current(a)).current
}
