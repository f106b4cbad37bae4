import './corner.css'
import { useMantineColorScheme } from '@mantine/core'
import IconMoon from '@tabler/icons-react/dist/esm/icons/IconMoon.mjs'
import IconSun from '@tabler/icons-react/dist/esm/icons/IconSun.mjs'
import { language, type Language, languages, speak } from '../../app/language'
import { shell } from '../../app/text'
import { signIn } from './text'

/** The language and the theme, on the pages that have no frame. */
export function Corner() {
  const t = signIn.useTexts()
  const frame = shell.useTexts()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const dark = colorScheme === 'dark' || (colorScheme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
  return (
    <div className="corner row">
      <select aria-label={t('language')} value={language()} onChange={(e) => void speak(e.target.value as Language)}>
        {Object.entries(languages).map(([code, name]) => <option key={code} value={code} lang={code}>{name}</option>)}
      </select>
      <button type="button" className="icb" aria-label={dark ? frame('light') : frame('dark')} onClick={() => setColorScheme(dark ? 'light' : 'dark')}>
        {dark ? <IconSun className="i" stroke={1.6} aria-hidden /> : <IconMoon className="i" stroke={1.6} aria-hidden />}
      </button>
    </div>
  )
}
