type Early = { me: Promise<Response>; posture: Promise<Response> }

declare global {
  interface Window {
    portcullisEarly?: Partial<Early>
  }
}

/** The answer to a question that public/early.js asked before any of this was loaded. It is taken once. */
export function takeEarly(of: keyof Early): Promise<Response> | undefined {
  const early = window.portcullisEarly?.[of]
  delete window.portcullisEarly?.[of]
  return early
}
