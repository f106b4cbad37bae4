import { useEffect, useState } from 'react'

/** The fingerprint of an authorized_keys line, as ssh-keygen says it; undefined while it is not known. */
export function useFingerprint(line: string | undefined): string | undefined {
  const [print, set] = useState<{ line: string; text: string }>()
  useEffect(() => {
    if (!line) return
    let live = true
    void fingerprint(line).then((text) => live && set({ line, text }))
    return () => { live = false }
  }, [line])
  return print?.line === line ? print?.text : undefined
}

async function fingerprint(line: string): Promise<string> {
  const [type, key] = line.trim().split(/\s+/)
  try {
    const bytes = Uint8Array.from(atob(key), (c) => c.charCodeAt(0))
    const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
    return `${type} SHA256:${btoa(String.fromCharCode(...sum)).replace(/=+$/, '')}`
  } catch {
    return line // no secure context, or not a key: the line itself tells as much
  }
}
