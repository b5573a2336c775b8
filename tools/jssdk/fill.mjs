// Keeps a list in step with the product rows of all deals, as a program of this SDK does it
// best: everything is read in batches, compared, and the differences are written in batches.
// The benchmark runs it beside the engine.
import { connect, report } from './common.mjs'

const { list, deal, quantity, sum } = JSON.parse(process.env.FILL)
const b24 = connect()
const place = { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: list }

const ids = []
for await (const page of b24.actions.v2.fetchList.make({ method: 'crm.item.list', params: { entityTypeId: 2, select: ['id'] }, idKey: 'id', customKeyForResult: 'items' })) {
  ids.push(...page.map((each) => each.id))
}
const calls = ids.map((id) => ['crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': id } }])
const answer = await b24.actions.v2.batchByChunk.make({ calls, options: { isHaltOnError: true } })
const rows = answer.getData().map((each) => each.productRows)

const made = new Set()
for await (const page of b24.fetchListMethod('lists.element.get', place, 'ID')) {
  for (const element of page) {
    made.add(Object.values(element[deal] ?? {})[0] + '/' + element.NAME)
  }
}
const adds = []
for (const [i, id] of ids.entries()) {
  for (const [n, row] of rows[i].entries()) {
    const name = `${row.productName} × ${row.quantity}`
    if (!made.has(id + '/' + name)) {
      adds.push(['lists.element.add', {
        ...place, ELEMENT_CODE: `fill-${id}-${n}`,
        FIELDS: { NAME: name, [deal]: id, [quantity]: row.quantity, [sum]: (row.price * row.quantity).toFixed(2) }
      }])
    }
  }
}
if (adds.length > 0) {
  await b24.actions.v2.batchByChunk.make({ calls: adds, options: { isHaltOnError: true } })
}
report({ deals: ids.length, added: adds.length })
