// One process takes all the steps but those of waits.test.mjs, for they share the people and their codes.
import { after, afterEach } from 'node:test'
import { browser, openDoors } from './world.mjs'
import './pages.mjs'
import './emergency.mjs'
import './administration.mjs'
import './reports.mjs'
import './notifications.mjs'
import './plain.mjs'
import './hold.mjs'

afterEach(openDoors)
after(() => browser.close())
