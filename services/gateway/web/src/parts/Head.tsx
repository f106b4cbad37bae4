import type { ReactNode } from 'react'
import { useTitle } from '../app/title'

/** The head of a page: its one h1, a sentence, what can be done. It names the page in the header too. */
export function Head({ title, crumbs = [], text, children }: { title: string; crumbs?: string[]; text?: ReactNode; children?: ReactNode }) {
  useTitle(...crumbs, title)
  return (
    <div className="head">
      <div className="grow">
        <h1>{title}</h1>
        {text && <p>{text}</p>}
      </div>
      {children}
    </div>
  )
}
