import { useRef, type KeyboardEvent } from 'react'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { useParam } from '../../parts/paging'
import { People } from './People'
import { Roles } from './Roles'
import { userTexts } from './text'

const tabs = ['users', 'roles'] as const

/** Who signs in, and what they may do. */
export function Users() {
  const t = userTexts.useTexts()
  const [tab, setTab] = useParam('tab')
  const at = tab === 'roles' ? 'roles' : 'users'
  const may = useMay('System.Users.Manage')
  const list = useRef<HTMLDivElement>(null)
  const arrows = (e: KeyboardEvent) => {
    if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return
    setTab(at === 'roles' ? '' : 'roles')
    list.current?.querySelector<HTMLElement>('[aria-selected="false"]')?.focus()
  }
  return (
    <>
      <Head title={t('title')} text={t('text')} />
      <div className="uline" role="tablist" aria-label={t('tabs')} ref={list} onKeyDown={arrows}>
        {tabs.map((one) => (
          <button key={one} type="button" role="tab" id={`tab-${one}`} aria-selected={at === one} aria-controls="tab-panel" tabIndex={at === one ? 0 : -1} onClick={() => setTab(one === 'roles' ? 'roles' : '')}>
            {t(one === 'roles' ? 'tabRoles' : 'tabUsers')}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${at}`}>{at === 'roles' ? <Roles may={may} /> : <People may={may} />}</div>
    </>
  )
}
