import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconCopy from '@tabler/icons-react/dist/esm/icons/IconCopy.mjs'
import { useState } from 'react'
import { shell } from '../../app/text'

/** A text to take along; it can be selected too, where a browser lets no page copy. */
export function Copy({ text, focus }: { text: string; focus?: boolean }) {
  const s = shell.useTexts()
  const [copied, copy] = useState(false)
  return (
    <>
      <code className="secret">{text}</code>
      <button type="button" className="btn sm copy" data-autofocus={focus || undefined} onClick={() => void navigator.clipboard?.writeText(text).then(() => copy(true), () => copy(false))}>
        {copied ? <IconCheck className="i s acc" stroke={2} aria-hidden /> : <IconCopy className="i s" stroke={1.6} aria-hidden />}{copied ? s('copied') : s('copy')}
      </button>
      <span className="sr" role="status">{copied && s('copied')}</span>
    </>
  )
}
