import { words } from './text'

/** The next page of a list that grows. */
export function More({ query }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown } }) {
  const t = words.useTexts()
  if (!query.hasNextPage) return null
  return <p className="more-in"><button type="button" className="btn sm" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>{t('loadMore')}</button></p>
}
