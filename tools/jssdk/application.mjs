// An application with an access token, as event handlers get it.
import { B24OAuth } from '@bitrix24/b24jssdk'
import { report, attempt } from './common.mjs'

const app = JSON.parse(process.env.B24_APPLICATION)
const expires = Math.floor(Date.now() / 1000) + 3600
const b24 = new B24OAuth({
  applicationToken: app.application_token,
  userId: 1,
  memberId: app.member_id,
  accessToken: app.access_token,
  refreshToken: 'none',
  expires,
  expiresIn: 3600,
  scope: app.scope,
  domain: new URL(app.client_endpoint).host,
  clientEndpoint: app.client_endpoint,
  serverEndpoint: 'https://oauth.invalid/rest/',
  status: 'L'
}, { clientId: app.client_id, clientSecret: 'none' })

const seen = {}
const call = async (name, method, params = {}) => {
  seen[name] = await attempt(b24.actions.v2.call.make({ method, params }))
}

await b24.initIsAdmin()
seen.admin = b24.auth.isAdmin
await call('profile', 'profile')
await call('bind', 'event.bind', { event: 'onCrmDealUpdate', handler: 'https://example.com/handler' })
await call('bound', 'event.get')
await call('unbind', 'event.unbind', { event: 'ONCRMDEALUPDATE', handler: 'https://example.com/handler' })
await call('gone', 'event.get')
const batch = await b24.actions.v2.batch.make({ calls: { deal: ['crm.deal.add', { fields: { TITLE: 'From an application' } }], again: ['crm.deal.get', { id: '$result[deal]' }] }, options: { isHaltOnError: true } })
seen.batch = { id: batch.getData().deal, title: batch.getData().again.TITLE }

report(seen)
