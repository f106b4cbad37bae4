import { useEffect, useRef, useState } from 'react'

const settles = 400 // in milliseconds: by then a page has its title and, if it wants it, the focus

/** Says the name of a page that one came to within the console, and leaves the focus nowhere but in it. */
export function Arrival({ at }: { at: string }) {
  const [said, say] = useState('')
  const was = useRef(at)
  useEffect(() => {
    if (was.current === at) return
    was.current = at
    const timer = setTimeout(() => {
      say(document.title)
      if (document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true })
    }, settles)
    return () => clearTimeout(timer)
  }, [at])
  return <span className="sr" role="status">{said}</span>
}
