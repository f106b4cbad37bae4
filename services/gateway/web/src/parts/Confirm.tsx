import { Modal } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState } from 'react'
import { Refusal } from '../api/client'
import { useFocusBack } from '../app/focus'
import { shell } from '../app/text'
import { noProof, type Proof, ProofStep, proven, useIntent } from './Editor'
import { listTexts } from './list-text'
import { RefusalNote } from './Note'
import { useSingle } from './single'

/**
 * Asks before an act that can't be taken back; one that is guarded takes a fresh code and a justification too. The
 * parent renders it only while it is open.
 */
export function Confirm({ title, text, button, purpose, act, done, close, guarded }: {
  title: string
  text: ReactNode
  button: string
  /** The purpose of the grant. */
  purpose?: string
  /** Whether it takes the grant; if it has a purpose and this is not said, it does. */
  guarded?: boolean
  act: (with_: { grant?: string; justification?: string; governanceCode?: string; requestId: string }) => Promise<unknown>
  done: () => void
  close: () => void
}) {
  const t = listTexts.useTexts()
  const s = shell.useTexts()
  useFocusBack()
  const [proof, prove] = useState<Proof>(noProof)
  const intent = useIntent()
  const [focus, setFocus] = useState(false)
  useEffect(() => { // after the dialog has taken the focus to itself
    const timer = setTimeout(() => setFocus(true), 180)
    return () => clearTimeout(timer)
  }, [])
  // The server may know of more that is on than this page does.
  const [told, tell] = useState(false)
  const takes = purpose !== undefined && (guarded !== false || told)
  const run = useMutation({
    mutationFn: () => act({ requestId: intent([title, proof.why, proof.ticket]), ...(takes && { grant: proof.grant?.grant, justification: proof.why.trim(), ...(proof.ticket.trim() && { governanceCode: proof.ticket.trim() }) }) }),
    onSuccess: () => {
      done()
      close()
    },
    onError: (error) => {
      if (!(error instanceof Refusal)) return
      if (error.reason.startsWith('GRANT_')) prove((before) => ({ ...before, grant: undefined }))
      if (/^(GRANT|JUSTIFICATION|GOVERNANCE)_/.test(error.reason)) tell(true)
    },
  })
  const single = useSingle(run.isPending, run.error)
  return (
    <Modal opened onClose={close} title={<bdi className="b">{title}</bdi>} closeButtonProps={{ 'aria-label': s('close') }} size="md" transitionProps={{ duration: 120 }} styles={{ title: { overflowWrap: 'anywhere', minWidth: 0 } }}>
      <form className="confirm" noValidate onSubmit={(e) => { e.preventDefault(); if (!takes || proven(proof)) single(() => run.mutate()) }}>
        <div className="mid">{text}</div>
        {takes && <ProofStep purpose={purpose} proof={proof} change={prove} focus={focus} />}
        {run.isError && <RefusalNote error={run.error} />}
        <div className="btns">
          <button type="button" className="btn" onClick={close} data-autofocus={!takes || undefined}>{s('cancel')}</button>
          <button type="submit" className="btn pri" disabled={run.isPending || (takes && !proven(proof))}>{run.isPending ? t('working') : button}</button>
        </div>
      </form>
    </Modal>
  )
}
