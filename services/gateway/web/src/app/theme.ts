import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core'

const accent: MantineColorsTuple = ['#E9EFFC', '#D3DEF8', '#B9CAF3', '#8AAAFF', '#5F86EE', '#3B66D8', '#2A56C6', '#2349A8', '#1C3B88', '#142B65']

export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: { light: 6, dark: 5 },
  colors: { accent },
  defaultRadius: 7,
  fontFamily: 'var(--pc-font)',
  fontFamilyMonospace: 'var(--pc-mono)',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '20px' },
  spacing: { xs: '8px', sm: '12px', md: '16px', lg: '24px', xl: '32px' },
  focusRing: 'auto',
  cursorType: 'pointer',
  respectReducedMotion: true,
})

const same = {
  '--mantine-color-body': 'var(--pc-surface)',
  '--mantine-color-text': 'var(--pc-ink)',
  '--mantine-color-dimmed': 'var(--pc-ink-3)',
  '--mantine-color-placeholder': 'var(--pc-ink-3)',
  '--mantine-color-default': 'var(--pc-surface)',
  '--mantine-color-default-border': 'var(--pc-control)',
  '--mantine-color-default-hover': 'var(--pc-hover)',
  '--mantine-color-anchor': 'var(--pc-accent)',
  '--mantine-color-error': 'var(--pc-closed)',
}

export const resolver: CSSVariablesResolver = () => ({ variables: {}, light: same, dark: same })
