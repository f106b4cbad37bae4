import { startTransition, useEffect, useState } from 'react'
import { Approvals } from '../approvals/Approvals'
import { Enforcers } from './Enforcers'
import { Hero } from './Hero'
import { HistoryCard } from './HistoryCard'
import './overview.css'
import { Recent } from './Recent'
import { words } from './text'
import { useTitle } from '../../app/title'
import { Windows } from './Windows'

/** How everything stands: the posture first, then what was, what comes, and who enforces. */
export function Overview() {
  useTitle(words.useTexts()('title'))
  const [rest, setRest] = useState(false)
  // What is on is painted before the rest is drawn: it is what one opens the console for.
  useEffect(() => startTransition(() => setRest(true)), [])
  return (
    <div className="overview">
      <Hero />
      <Approvals />
      {rest && (
        <>
          <div className="grid g2">
            <HistoryCard />
            <Windows />
          </div>
          <div className="grid g2">
            <Enforcers />
            <Recent />
          </div>
        </>
      )}
    </div>
  )
}
