import { useNavigate, useSearch } from '@tanstack/react-router'

/** What of a list is open, as the address says. Opening it is a step that Back takes back. */
export function useShown(name: string): [string, (id: string) => void] {
  const search = useSearch({ strict: false }) as Record<string, unknown>
  const go = useNavigate()
  const show = (id: string) => void go({ to: '.', search: ((before: Record<string, string | undefined>) => ({ ...before, [name]: id || undefined })) as never })
  return [String(search[name] ?? ''), show]
}
