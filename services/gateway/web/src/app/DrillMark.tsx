import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, ask } from '../api/client'
import { texts } from './language'
import { useMay } from './me'

const mark = texts(
  'drill-mark',
  { title: 'Drill {{id}} runs.', text: 'Nobody is touched by it.', see: 'See how far it is' },
  { title: 'O simulado {{id}} está em andamento.', text: 'Ninguém é afetado.', see: 'Ver o andamento' },
)

const often = 5000

/** Says calmly, and only to those who control the panel, that what they see move is an exercise. */
export function DrillMark({ at }: { at: string }) {
  const t = mark.useTexts()
  const may = useMay('System.EmergencyPanel.Control')
  const { data } = useQuery({
    queryKey: ['drills', 'running'], queryFn: () => ask(api.GET('/v1/drills', { params: { query: { filter: 'status=RUNNING', pageSize: 1 } } })),
    enabled: may, refetchInterval: often, retry: false,
  })
  const id = data?.drills?.[0]?.id
  if (!id || !may || at.startsWith('/drills')) return null
  return (
    <div className="note" role="status">
      <div><b>{t('title', { id })}</b> {t('text')} <Link to="/drills/$id" params={{ id }}>{t('see')}</Link></div>
    </div>
  )
}
