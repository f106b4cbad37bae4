import i18next, { type TFunction } from 'i18next'
import { initReactI18next, useTranslation } from 'react-i18next'

export const languages = { en: 'English', 'pt-BR': 'Português (Brasil)' } as const
export type Language = keyof typeof languages

const kept = 'portcullis.language'

function first(): Language {
  const chosen = localStorage.getItem(kept) ?? ''
  if (chosen in languages) return chosen as Language
  return navigator.languages.some((l) => l.toLowerCase().startsWith('pt')) && !navigator.language.toLowerCase().startsWith('en') ? 'pt-BR' : 'en'
}

export const i18n = i18next.createInstance()
void i18n.use(initReactI18next).init({
  initAsync: false, // pages bring their texts along
  lng: first(),
  fallbackLng: 'en',
  resources: {},
  interpolation: { escapeValue: false }, // React escapes
})
document.documentElement.lang = i18n.language

export function speak(language: Language) {
  localStorage.setItem(kept, language)
  document.documentElement.lang = language
  return i18n.changeLanguage(language)
}

export function language(): Language {
  return i18n.language as Language
}

type Texts = { [key: string]: string }

/**
 * Texts of one page or part, in both languages. Returns a hook that answers t; the key of a plural ends with _one and
 * _other, and its count is {{count}}.
 */
export function texts<T extends Texts>(name: string, en: T, pt: { [K in keyof T]: string }) {
  i18n.addResourceBundle('en', name, en)
  i18n.addResourceBundle('pt-BR', name, pt)
  type Plain<K> = K extends `${infer Base}_one` | `${infer Base}_other` ? Base : K
  type T_ = (key: Plain<keyof T & string>, options?: Record<string, unknown>) => string
  const useTexts = (): T_ => useTranslation(name, { i18n }).t as unknown as T_
  /** For use outside components. */
  const say: T_ = (key, options) => (i18n.getFixedT(null, name) as TFunction)(key, options)
  return { useTexts, say }
}
