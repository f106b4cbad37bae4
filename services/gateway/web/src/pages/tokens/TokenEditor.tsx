import { Modal } from '@mantine/core'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconCopy from '@tabler/icons-react/dist/esm/icons/IconCopy.mjs'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { useMe } from '../../app/me'
import { shell } from '../../app/text'
import { Checks, Editor, errorOf, Text, useIntent } from '../../parts/Editor'
import { grantable, usePermissionWords } from '../../parts/permissions'
import type { Token } from './Tokens'
import { tokenTexts } from './text'

export const channels = ['API', 'AGENT', 'ENFORCER'] as const
const enforcerMay: string[] = ['System.Read', 'System.Access.Check', 'System.Events.Publish']

/** Makes a token. What it is goes to the parent, which shows it once. */
export function TokenEditor({ made, close }: { made: (token: Token) => void; close: () => void }) {
  const t = tokenTexts.useTexts()
  const words = usePermissionWords()
  const mine = useMe().permissions ?? []
  const [name, setName] = useState('')
  const [channel, setChannel] = useState<(typeof channels)[number]>('API')
  const [chosen, choose] = useState<string[]>([])
  const can = grantable.filter((p) => channel !== 'ENFORCER' || enforcerMay.includes(p))
  const permissions = chosen.filter((p) => (can as string[]).includes(p))
  const intent = useIntent()
  const client = useQueryClient()
  const save = useMutation({
    mutationFn: () => {
      const body = { name: name.trim(), channel, permissions }
      return ask(api.POST('/v1/tokens', { body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: (token) => {
      void client.invalidateQueries({ queryKey: ['tokens'] })
      made(token)
    },
  })
  return (
    <Editor title={t('create')} close={close} save={() => save.mutate()} text={t('create')} busy={save.isPending} error={save.error} dirty={name !== '' || chosen.length > 0} ready={name.trim() !== ''}>
      <Text label={t('name')} hint={t('nameHint')} value={name} change={setName} length={128} error={errorOf(save.error, 'name')} focus />
      <fieldset className="checks">
        <legend className="lab">{t('channel')}</legend>
        {channels.map((c) => (
          <label className="ck" key={c}>
            <input type="radio" name="channel" checked={channel === c} onChange={() => setChannel(c)} />
            <span><b className="m">{t(c)}</b> <span className="mid">{t(`${c}Text`)}</span></span>
          </label>
        ))}
      </fieldset>
      <Checks
        legend={t('permissions')}
        hint={t('permissionsHint')}
        error={errorOf(save.error, 'permissions')}
        value={permissions}
        change={choose}
        options={can.map((p) => ({ value: p, off: !mine.includes(p), text: <>{words(p)} <code className="dim xs">{p}</code></> }))}
      />
    </Editor>
  )
}

/** Gives a token another name. */
export function Rename({ token, close }: { token: Token; close: () => void }) {
  const t = tokenTexts.useTexts()
  const client = useQueryClient()
  const [name, setName] = useState(token.name ?? '')
  const save = useMutation({
    mutationFn: () => ask(api.PATCH('/v1/tokens/{id}', { params: { path: { id: token.id ?? '' } }, body: { name: name.trim() } })),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['tokens'] })
      close()
    },
  })
  return (
    <Editor title={t('edit', { name: token.name })} close={close} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={name !== token.name} ready={name.trim() !== '' && name !== token.name}>
      <Text label={t('name')} hint={t('nameHint')} value={name} change={setName} length={128} error={errorOf(save.error, 'name')} focus />
    </Editor>
  )
}

/** Shows a new token, this once: only its own button closes it. */
export function Shown({ token, close }: { token: Token; close: () => void }) {
  const t = tokenTexts.useTexts()
  const s = shell.useTexts()
  const [copied, copy] = useState<boolean>()
  const write = () => navigator.clipboard?.writeText(token.token ?? '').then(() => copy(true), () => copy(false)) ?? copy(false)
  return (
    <Modal opened onClose={close} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title={<bdi className="b">{t('made', { name: token.name })}</bdi>} styles={{ title: { overflowWrap: 'anywhere', minWidth: 0 } }}>
      <div className="confirm">
        <p className="mid">{t(token.token ? 'madeText' : 'lost')}</p>
        {token.token && <code className="secret">{token.token}</code>}
        {copied === false && <p className="sm" role="alert">{t('copyFailed')}</p>}
        <div className="btns">
          {token.token && <button type="button" className="btn" onClick={() => void write()} data-autofocus>
            {copied ? <IconCheck className="i s acc" stroke={2} aria-hidden /> : <IconCopy className="i s" stroke={1.6} aria-hidden />}
            {copied ? s('copied') : s('copy')}
          </button>}
          <span className="sr" role="status">{copied && s('copied')}</span>
          <button type="button" className="btn pri" onClick={close}>{token.token ? t('kept') : s('close')}</button>
        </div>
      </div>
    </Modal>
  )
}
