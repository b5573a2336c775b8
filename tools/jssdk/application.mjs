// An application with an access token, as event handlers get it.
import { connect, connectApp, report, attempt } from './common.mjs'

const b24 = connectApp()
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

// Offline events: one's own writes are left out.
const connector = { auth_connector: 'shop' }
await call('offlineBind', 'event.bind', { event: 'ONCRMDEALADD', event_type: 'offline', ...connector })
await call('feature', 'feature.get', { CODE: 'rest_offline_extended' })
await b24.actions.v2.call.make({ method: 'crm.deal.add', params: { fields: { TITLE: 'Own' }, ...connector } })
await connect().actions.v2.call.make({ method: 'crm.deal.add', params: { fields: { TITLE: 'Of a person' } } })
const taken = await b24.actions.v2.call.make({ method: 'event.offline.get', params: { clear: 0, ...connector } })
const { process_id, events } = taken.getData().result
seen.offline = { reserved: process_id.length, events: events.map((event) => [event.EVENT_NAME, event.EVENT_DATA]) }
await call('offlineClear', 'event.offline.clear', { process_id, message_id: events.map((event) => event.MESSAGE_ID), ...connector })
await call('offlineLeft', 'event.offline.list', { ...connector })

const batch = await b24.actions.v2.batch.make({ calls: { deal: ['crm.deal.add', { fields: { TITLE: 'From an application' } }], again: ['crm.deal.get', { id: '$result[deal]' }] }, options: { isHaltOnError: true } })
seen.batch = { id: batch.getData().deal, title: batch.getData().again.TITLE }

report(seen)
