import { Switch, useMantineColorScheme } from '@mantine/core'
import IconDesktop from '@tabler/icons-react/dist/esm/icons/IconDeviceDesktop.mjs'
import IconMoon from '@tabler/icons-react/dist/esm/icons/IconMoon.mjs'
import IconSun from '@tabler/icons-react/dist/esm/icons/IconSun.mjs'
import { useState } from 'react'
import { keysOn, setKeys } from '../../app/keys'
import { account } from './text'

const themes = [['light', 'light', IconSun], ['dark', 'dark', IconMoon], ['auto', 'system', IconDesktop]] as const

/** What this browser alone remembers. */
export function Here() {
  const t = account.useTexts()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const [keys, setOn] = useState(keysOn)
  return (
    <section className="card" aria-labelledby="acct-here">
      <header><h2 id="acct-here">{t('here')}</h2></header>
      <div className="body">
        <div>
          <span className="lab" id="acct-theme">{t('theme')}</span>
          <div className="seg" role="group" aria-labelledby="acct-theme">
            {themes.map(([scheme, name, Icon]) => (
              <button key={scheme} type="button" aria-pressed={colorScheme === scheme} onClick={() => setColorScheme(scheme)}>
                <Icon className="i s" stroke={1.6} aria-hidden />
                {t(name)}
              </button>
            ))}
          </div>
        </div>
        <Switch
          checked={keys} label={t('shortcuts')} description={t('shortcutsHint')}
          onChange={(e) => {
            setKeys(e.currentTarget.checked)
            setOn(e.currentTarget.checked)
          }}
        />
      </div>
    </section>
  )
}
