import { Refusal } from '../api/client'
import { texts } from '../app/language'

const reasons = texts(
  'reasons',
  {
    MFA_NOT_ENROLLED: 'You have no active MFA. Enrol one in My account, then come back.',
    MFA_TOO_NEW: 'Your MFA is too new for the panel.',
    CODE_INVALID: 'Wrong code. Enter the six digits that your MFA app shows now; check your phone’s clock if it goes on.',
    CODE_USED: 'That code was already used.',
    LOCKED_OUT: 'Too many wrong codes. The panel pauses for you.',
    GRANT_REQUIRED: 'This takes a fresh code. Enter the one that your MFA app shows now.',
    GRANT_INVALID: 'The code does not count for this any more. Enter a fresh one.',
    GRANT_EXPIRED: 'The code has run out. Enter a fresh one.',
    GRANT_USED: 'The code was already spent. Enter a fresh one.',
    SELECTOR_EMPTY: 'Say whom it ends: all sessions, or at least one name.',
    JUSTIFICATION_REQUIRED: 'Say why: a justification is required.',
    GOVERNANCE_CODE_REQUIRED: 'The policy requires a governance code: the id of the change or incident ticket.',
    DURATION_OUT_OF_RANGE: 'A window lasts 1 minute to 30 days.',
    START_IN_PAST: 'The start lies in the past. Choose a later one, or now.',
    PREVIEW_DRIFTED: 'Not applied: what it hits has moved since the preview. Look again, then apply.',
    PERMISSION_DENIED: 'You may not do this.',
  },
  {
    MFA_NOT_ENROLLED: 'Você não tem MFA ativo. Cadastre um em Minha conta e volte aqui.',
    MFA_TOO_NEW: 'Seu MFA é recente demais para o painel.',
    CODE_INVALID: 'Código incorreto. Digite os seis dígitos que o app de MFA mostra agora; se persistir, confira o relógio do celular.',
    CODE_USED: 'Este código já foi usado.',
    LOCKED_OUT: 'Códigos incorretos demais. O painel está em pausa para você.',
    GRANT_REQUIRED: 'Isto exige um código novo. Digite o que o app de MFA mostra agora.',
    GRANT_INVALID: 'O código não vale mais para isto. Digite um novo.',
    GRANT_EXPIRED: 'O código venceu. Digite um novo.',
    GRANT_USED: 'O código já foi gasto. Digite um novo.',
    SELECTOR_EMPTY: 'Diga de quem: todas as sessões ou ao menos um nome.',
    JUSTIFICATION_REQUIRED: 'Diga por quê: a justificativa é obrigatória.',
    GOVERNANCE_CODE_REQUIRED: 'A política exige um código de governança: o número da mudança ou do incidente.',
    DURATION_OUT_OF_RANGE: 'Uma janela dura de 1 minuto a 30 dias.',
    START_IN_PAST: 'O início está no passado. Escolha outro mais tarde, ou agora.',
    PREVIEW_DRIFTED: 'Não aplicado: o que será atingido mudou desde a prévia. Confira de novo e aplique.',
    PERMISSION_DENIED: 'Você não pode fazer isto.',
  },
)

type Reason = Parameters<ReturnType<typeof reasons.useTexts>>[0]

const known = new Set<string>([
  'MFA_NOT_ENROLLED', 'MFA_TOO_NEW', 'CODE_INVALID', 'CODE_USED', 'LOCKED_OUT', 'GRANT_REQUIRED', 'GRANT_INVALID', 'GRANT_EXPIRED', 'GRANT_USED',
  'SELECTOR_EMPTY', 'JUSTIFICATION_REQUIRED', 'GOVERNANCE_CODE_REQUIRED', 'DURATION_OUT_OF_RANGE', 'START_IN_PAST', 'PREVIEW_DRIFTED', 'PERMISSION_DENIED',
])

/** Answers the same refusal in the reader's own language, for someone at this page; unknown ones keep the server's words. */
export function useExplained(): (error: unknown) => unknown {
  const t = reasons.useTexts()
  return (error) =>
    error instanceof Refusal && known.has(error.reason)
      ? new Refusal(error.status, error.reason, t(error.reason as Reason), error.details, error.retryAfter)
      : error
}
