// Runs while the console's own code is still on its way. The first questions, who is signed in and what is on, are
// asked already; src/app/early.ts takes the answers. The page has its theme before anything is painted. And what a
// browser is slow to do for the first time it does now, while it would only wait.
(() => {
  const headers = { 'Content-Type': 'application/json', 'X-Portcullis-Console': '1' }
  const me = fetch('/v1/sign-ins/current:refresh', { method: 'POST', body: '{}', headers })
  const posture = fetch('/v1/posture', { headers })
  for (const answer of [me, posture]) answer.catch(() => {}) // who takes it hears of it
  window.portcullisEarly = { me, posture }
  const kept = localStorage.getItem('mantine-color-scheme-value')
  const dark = kept === 'dark' || (kept !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light')
  sessionStorage.getItem('')
  if (location.pathname === '/') new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).format()
})()
