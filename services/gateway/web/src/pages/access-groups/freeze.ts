import { serverNow } from '../../app/clock'
import { ongoing, usePosture } from '../../app/posture'

/** Until when a freeze closes what it closes, in milliseconds; 0 if none is on. The posture is told at each edge of a window. */
export function useFrozenUntil(): number {
  const { posture } = usePosture()
  return Math.max(0, ...ongoing(posture, 'FREEZE', serverNow()).map((e) => Date.parse(e.endTime ?? '')))
}
