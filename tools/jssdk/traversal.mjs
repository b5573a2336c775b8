// Lists of many pages, by offset and by the id of the last one seen.
import { Text } from '@bitrix24/b24jssdk'
import { connect, report } from './common.mjs'

const total = Number(process.env.DEALS)
const seen = {}

// Each has a client of its own, so that none waits for the limit that the SDK
// keeps for itself.
function found(name, items, key, pages) {
  const ids = items.map((item) => Number(item[key]))
  seen[name] = {
    count: ids.length,
    distinct: new Set(ids).size,
    ascending: ids.every((id, i) => i === 0 || ids[i - 1] < id),
    complete: ids.length === total && Math.min(...ids) === 1 && Math.max(...ids) === total,
    ...(pages === undefined ? {} : { pages })
  }
}

async function offset(name, method, params, key, wrapper) {
  const progress = []
  const answer = await connect().callListMethod(method, params, (percent) => progress.push(percent), wrapper)
  found(name, answer.getData(), key)
  seen[name].progress = progress.length
}

async function keyset(name, options) {
  const items = []
  let pages = 0
  for await (const page of connect().actions.v2.fetchList.make(options)) {
    items.push(...page)
    pages++
  }
  found(name, items, options.idKey, pages)
}

const deals = { select: ['ID', 'TITLE'], order: { ID: 'ASC' } }
const items = { entityTypeId: 2, select: ['id', 'title'], order: { id: 'ASC' } }
await offset('dealsByOffset', 'crm.deal.list', deals, 'ID', null)
await offset('itemsByOffset', 'crm.item.list', items, 'id', 'items')
await keyset('dealsByKey', { method: 'crm.deal.list', params: { select: ['ID'] }, idKey: 'ID' })
await keyset('itemsByKey', { method: 'crm.item.list', params: { entityTypeId: 2, select: ['id'] }, idKey: 'id', customKeyForResult: 'items' })
await keyset('halfByKey', { method: 'crm.item.list', params: { entityTypeId: 2, select: ['id'], filter: { '<=id': total / 2 } }, idKey: 'id', customKeyForResult: 'items' })

const all = await connect().actions.v2.callList.make({ method: 'crm.item.list', params: { entityTypeId: 2, select: ['id'] }, idKey: 'id', customKeyForResult: 'items' })
found('itemsAtOnce', all.getData(), 'id')
// The filter of the SDK's own examples.
const hourAgo = new Date(Date.now() - 3600_000)
const some = await connect().actions.v2.callList.make({
  method: 'crm.item.list',
  params: { entityTypeId: 2, filter: { '=%title': 'Deal 99%', '>=createdTime': Text.toB24Format(hourAgo) }, select: ['id', 'title'] },
  idKey: 'id',
  customKeyForResult: 'items'
})
seen.someAtOnce = some.getData().map((item) => item.title)

const elements = []
for await (const page of connect().fetchListMethod('lists.element.get', { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: 47 }, 'ID')) {
  elements.push(...page.map((element) => Number(element.ID)))
}
seen.elements = { count: elements.length, distinct: new Set(elements).size }

report(seen)
