import IconX from '@tabler/icons-react/dist/esm/icons/IconX.mjs'
import { useRef, useState } from 'react'
import { number } from '../../app/format'
import { initials } from '../../app/Shell'
import { errorOf } from '../../parts/reasons'
import { Adder } from '../access-groups/Adder'
import { ruleTexts } from './rules-text'

const first = 12
const step = 100

/** The people who are told. They are added by name, from the server's list of users. */
export function Contacts({ value, change, error }: { value: string[]; change?: (value: string[]) => void; error: unknown }) {
  const t = ruleTexts.useTexts()
  const [most, show] = useState(first)
  const box = useRef<HTMLDivElement>(null)
  const takeOut = (name: string) => {
    change?.(value.filter((one) => one !== name))
    box.current?.querySelector<HTMLElement>('input')?.focus()
  }
  return (
    <div ref={box} className="contacts">
      <h3 className="lab0" id="contacts">{t('contacts')} <span className="dim" role="status">{t('people', { count: value.length })}</span></h3>
      <ul className="cts" aria-labelledby="contacts">
        {value.slice(0, most).map((name) => (
          <li key={name} className="ct">
            <span className="av" aria-hidden>{initials(name)}</span>
            <bdi className="cut">{name}</bdi>
            {change && <button type="button" aria-label={t('takeOut', { name })} onClick={() => takeOut(name)}><IconX className="i s" stroke={1.8} aria-hidden /></button>}
          </li>
        ))}
        {value.length > most && <li><button type="button" className="ct more" onClick={() => show(most + step)}>{t('moreOnes', { n: number(value.length - most) })}</button></li>}
      </ul>
      {value.length === 0 && !change && <p className="sm dim">{t('noContacts')}</p>}
      {change && <Adder kind="users" has={value} add={(names) => change([...new Set([...value, ...names])])} error={errorOf(error, 'contacts')} />}
    </div>
  )
}
