// Batches: the answer of each command.
import { connect, report, told, failed } from './common.mjs'

const b24 = connect()
const seen = {}

// batch shows the answers under the keys of their commands.
async function batch(name, calls, isHaltOnError) {
  const answer = await b24.actions.v2.batch.make({ calls, options: { isHaltOnError, returnAjaxResult: true } })
  const answers = {}
  for (const [key, each] of Object.entries(answer.getData())) {
    answers[key] = told(each)
    // The SDK takes a command without a next page for one whose next is 0.
    delete answers[key].more
  }
  seen[name] = answers
}

await batch('list', [
  ['crm.deal.get', { id: 1 }],
  { method: 'crm.item.list', params: { entityTypeId: 2, select: ['id'], filter: { '@id': [1, 2] }, order: { id: 'DESC' } } },
  ['profile']
], true)

await batch('listReferences', [
  ['crm.deal.list', { filter: { TITLE: 'A & b=c+d %23 #Ж' }, select: ['ID', 'TITLE'] }],
  ['crm.deal.get', { id: '$result[0][0][ID]' }],
  ['crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': '$result[1][ID]' }, order: { id: 'ASC' } }]
], true)

await batch('map', {
  deal: { method: 'crm.deal.get', params: { id: 1 } },
  bill: ['crm.item.add', { entityTypeId: 31, fields: { title: 'Bill of $result[deal][TITLE]', parentId2: '$result[deal][ID]', companyId: '$result[deal][COMPANY_ID]' } }],
  rows: ['crm.item.productrow.set', { ownerType: 'SI', ownerId: '$result[bill][item][id]', productRows: [{ productName: 'a', price: 2, quantity: 3 }, { productName: 'b', price: 4 }] }],
  again: ['crm.item.get', { entityTypeId: 31, id: '$result[bill][item][id]' }],
  many: ['crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': 2 } }],
  next: ['crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': 2 }, start: '$next[many]' }],
  counted: ['crm.item.list', { entityTypeId: 2, filter: { '<id': '$total[many]' }, select: ['id'], order: { id: 'ASC' } }],
  copy: ['crm.item.productrow.set', { ownerType: 'SI', ownerId: '$result[bill][item][id]', productRows: '$result[next][productRows]' }],
  gone: ['crm.item.productrow.delete', { id: '$result[copy][productRows][1][id]' }]
}, true)
for (const key of ['many', 'next', 'copy']) {
  seen.map[key] = { rows: seen.map[key].result.productRows.length, total: seen.map[key].total }
}

await batch('goesOn', {
  bad: ['crm.item.get', { entityTypeId: 2, id: 77 }],
  none: ['crm.none', {}],
  good: ['profile', {}],
  filter: ['crm.item.list', { entityTypeId: 2, filter: { '=nonsense': 1 } }]
}, false)
await batch('halts', {
  first: ['profile', {}],
  bad: ['crm.item.get', { entityTypeId: 2, id: 77 }],
  never: ['crm.deal.update', { id: 1, fields: { TITLE: 'never' } }]
}, true)
await batch('listGoesOn', [['crm.item.get', { entityTypeId: 2, id: 77 }], ['profile', {}]], false)

// Fifty at a time.
const calls = Array.from({ length: 120 }, (_, i) => ['crm.item.add', { entityTypeId: 1038, fields: { ufCrm5InvoiceId: i + 1 } }])
const chunks = await b24.actions.v2.batchByChunk.make({ calls, options: { isHaltOnError: true } })
const numbers = chunks.getData().map((each) => each.item.ufCrm5InvoiceId)
seen.chunks = { ok: chunks.isSuccess, inOrder: numbers.length === 120 && numbers.every((n, i) => n === i + 1) }

// Without answers of their own for the commands.
const simple = await b24.actions.v2.batch.make({ calls: { a: ['profile'], b: ['crm.item.get', { entityTypeId: 2, id: 77 }] }, options: { isHaltOnError: false } })
seen.simple = { keys: Object.keys(simple.getData()), errors: [...simple.errors].map(([key, error]) => [key, failed(error)]) }

// Under the names that the SDK is about to drop.
const first = await b24.callMethod('crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': 2 } }, 0)
const second = await first.getNext(b24.getHttpClient('v2'))
seen.older = {
  total: first.getTotal(),
  more: first.isMore(),
  next: second.getData().result.productRows.length,
  last: second.isMore(),
  list: (await b24.callBatch([['crm.deal.get', { id: 1 }], ['crm.deal.get', { id: '$result[0][ID]' }]], true)).getData().map((deal) => deal.ID),
  map: (await b24.callBatch({ a: ['crm.deal.get', { id: 1 }], b: ['crm.none', {}] }, false, true)).getData().a.getData().result.ID,
  chunks: (await b24.callBatchByChunk(Array.from({ length: 51 }, () => ['crm.deal.get', { id: 1 }]), true)).getData().length
}

report(seen)
