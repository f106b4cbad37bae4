import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState } from 'react'

const pause = 250

export type Pages = { token: string; number: number; next: (token: string) => void; back: () => void }

/** Pages through a list of the server's: forward by its tokens, back by those that were used. Another filter begins anew. */
export function usePages(filter: string): Pages {
  const [at, go] = useState({ filter, tokens: [''] })
  const tokens = at.filter === filter ? at.tokens : ['']
  return {
    token: tokens.at(-1) ?? '',
    number: tokens.length - 1,
    next: (token) => go({ filter, tokens: [...tokens, token] }),
    back: () => go({ filter, tokens: tokens.slice(0, Math.max(1, tokens.length - 1)) }),
  }
}

/** One search parameter of the page, which its address keeps. */
export function useParam(name: string): [string, (value: string) => void] {
  const search = useSearch({ strict: false }) as Record<string, unknown>
  const go = useNavigate()
  const set = (value: string) => void go({ to: '.', search: ((before: Record<string, string | undefined>) => ({ ...before, [name]: value || undefined })) as never, replace: true })
  return [String(search[name] ?? ''), set]
}

/** The text of a search field, and what it is once the typing pauses. */
export function useSearchText(name: string): { text: string; type: (text: string) => void; settled: string } {
  const [settled, set] = useParam(name)
  const [text, type] = useState(settled)
  const [asked, ask] = useState(settled)
  if (asked !== settled) { // somebody else wrote the address
    ask(settled)
    type(settled)
  }
  useEffect(() => {
    if (text === settled) return
    const timer = setTimeout(() => {
      ask(text)
      set(text)
    }, pause)
    return () => clearTimeout(timer)
  })
  return { text, type, settled }
}

/** What a name begins with, for a filter. What no name can hold becomes a sign that finds nothing, instead of a refusal. */
export const nameOf = (text: string) => text.trim().slice(0, 128).replace(/[^\w.@-]/g, '~')
