import './recovery.css'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconCopy from '@tabler/icons-react/dist/esm/icons/IconCopy.mjs'
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs'
import IconPrinter from '@tabler/icons-react/dist/esm/icons/IconPrinter.mjs'
import { useEffect, useRef, useState } from 'react'
import { useNow } from '../../app/clock'
import { dateTime } from '../../app/format'
import { account } from './text'

/** The clock that countdowns go by lags so far behind. */
const aMoment = 2000

/** The ten recovery codes, this once. Leaving the page asks first, for as long as they are shown. */
export function RecoveryCodes({ user, codes, usable, done }: { user: string; codes: string[]; usable?: string; done?: () => void }) {
  const t = account.useTexts()
  const now = useNow()
  const from = Date.parse(usable ?? '') || 0
  const heading = useRef<HTMLHeadingElement>(null)
  const here = done !== undefined
  useEffect(() => {
    if (here) heading.current?.focus()
  }, [here])
  useEffect(() => {
    const stay = (e: BeforeUnloadEvent) => e.preventDefault()
    addEventListener('beforeunload', stay)
    return () => removeEventListener('beforeunload', stay)
  }, [])
  return (
    <section className="recovery" aria-labelledby="recovery-title">
      <h3 className="b" id="recovery-title" ref={heading} tabIndex={-1}>{t('codes')}</h3>
      <p className="sm mid">{t('codesText')}</p>
      <p className="only-print">{t('codesFor', { user })}</p>
      <ol className="mono">{codes.map((code) => <li key={code}>{code}</li>)}</ol>
      <Ways user={user} codes={codes} done={done} />
      {usable && <p className="sm mid">{from - now > aMoment ? t('usable', { time: dateTime(from) }) : t('usableNow')}</p>}
    </section>
  )
}

function Ways({ user, codes, done }: { user: string; codes: string[]; done?: () => void }) {
  const t = account.useTexts()
  const text = `${t('codesFor', { user })}\n\n${codes.join('\n')}\n`
  return (
    <div className="row ways">
      <CopyButton text={codes.join('\n')} />
      <a className="btn sm" download={`portcullis-recovery-codes-${user}.txt`} href={`data:text/plain;charset=utf-8,${encodeURIComponent(text)}`}>
        <IconDownload className="i s" stroke={1.6} aria-hidden />{t('download')}
      </a>
      <button type="button" className="btn sm" onClick={() => print()}><IconPrinter className="i s" stroke={1.6} aria-hidden />{t('print')}</button>
      {done && <button type="button" className="btn sm pri" onClick={done}>{t('kept')}</button>}
    </div>
  )
}

/** Copies; where the browser won't (it takes a secure page), it is not there. */
export function CopyButton({ text }: { text: string }) {
  const t = account.useTexts()
  const [copied, setCopied] = useState(false)
  if (!navigator.clipboard) return null
  const Icon = copied ? IconCheck : IconCopy
  return (
    <>
      <button
        type="button"
        className="btn sm"
        onClick={() => {
          void navigator.clipboard.writeText(text).then(() => setCopied(true))
        }}
      >
        <Icon className="i s" stroke={1.6} aria-hidden />
        {copied ? t('copied') : t('copy')}
      </button>
      <span className="sr" role="status">{copied && t('copied')}</span>
    </>
  )
}
