// What the SDK makes of errors.
import { B24Hook } from '@bitrix24/b24jssdk'
import { connect, report, attempt, told } from './common.mjs'

// Not again: the SDK would wait ten seconds after a refusal for execution time.
const b24 = connect({ restrictionParams: { maxRetries: 1 } })
const seen = {}
const call = async (name, method, params = {}) => {
  seen[name] = await attempt(b24.actions.v2.call.make({ method, params }))
}

await call('unknownMethod', 'crm.none')
await call('missing', 'crm.item.get', { entityTypeId: 2 })
await call('notFound', 'crm.item.get', { entityTypeId: 2, id: 77 })
await call('notFoundType', 'crm.item.get', { entityTypeId: 1036, id: 1 })
await call('noCode', 'crm.deal.get', { id: 77 })
await call('codeZero', 'crm.type.getByEntityTypeId', { entityTypeId: 1036 })
await call('filter', 'crm.item.list', { entityTypeId: 2, filter: { '=nonsense': 1 } })
await call('noList', 'lists.element.get', { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: 48 })
await call('noApplication', 'event.bind', { event: 'ONCRMDEALADD', handler: 'https://example.com/' })
await call('noScope', 'user.current')

// The first call goes over the limit on execution time, the second is refused.
await call('crossing', 'crm.deal.fields')
seen.crossing = seen.crossing.thrown ?? 'ok'
await call('overTime', 'crm.deal.fields')
await call('othersGoOn', 'profile')
seen.othersGoOn = seen.othersGoOn.thrown ?? 'ok'
const batch = await b24.actions.v2.batch.make({ calls: { over: ['crm.deal.fields', {}], noScope: ['user.current', {}], ok: ['profile', {}] }, options: { isHaltOnError: false, returnAjaxResult: true } })
seen.inBatch = Object.fromEntries(Object.entries(batch.getData()).map(([key, each]) => [key, each.isSuccess ? 'ok' : told(each)]))

// The third version of the REST API has no CRM.
seen.thirdVersion = await attempt(b24.actions.v3.call.make({ method: 'crm.deal.list', params: {} }))

const { origin, pathname } = new URL(process.env.B24_WEBHOOK)
const stranger = new B24Hook({ b24Url: origin, userId: 1, secret: 'guess' }, { restrictionParams: { maxRetries: 1 } })
seen.wrongSecret = await attempt(stranger.actions.v2.call.make({ method: 'profile', params: {} }))
seen.secretKept = !JSON.stringify(seen).includes(pathname.split('/')[3])

report(seen)
