// Single calls.
import { Text } from '@bitrix24/b24jssdk'
import { connect, report, attempt } from './common.mjs'

const b24 = connect()
const seen = {}
const call = async (name, method, params) => {
  seen[name] = await attempt(b24.actions.v2.call.make({ method, params }))
  return seen[name].result
}

// The universal methods.
await call('itemAdd', 'crm.item.add', {
  entityTypeId: 2,
  fields: {
    title: 'Крыша & "1" = 100 %',
    opportunity: 1000.5,
    isManualOpportunity: 'Y',
    currencyId: 'EUR',
    companyId: 9,
    closedate: Text.toB24Format(new Date('2026-12-31T12:00:00Z'))
  }
})
await call('itemGet', 'crm.item.get', { entityTypeId: 2, id: 1 })
await call('itemUpdate', 'crm.item.update', { entityTypeId: 2, id: 1, fields: { companyId: null, opportunity: 7, observers: [1] } })
await call('itemAddSecond', 'crm.item.add', { entityTypeId: 2, fields: { title: 'Second' } })
await call('itemList', 'crm.item.list', {
  entityTypeId: 2,
  select: ['id', 'title'],
  filter: { '@id': [1, 2, 3], '>=opportunity': 5 },
  order: { id: 'DESC' }
})
await call('itemListNothing', 'crm.item.list', { entityTypeId: 2, filter: { id: 77 } })
await call('itemDelete', 'crm.item.delete', { entityTypeId: 2, id: 2 })
await call('invoiceAdd', 'crm.item.add', { entityTypeId: 31, fields: { title: 'Bill', parentId2: 1 } })
await call('processAdd', 'crm.item.add', { entityTypeId: 1038, fields: { ufCrm5InvoiceId: 1, ufCrm5Total: '99.99' } })
await call('rowsSet', 'crm.item.productrow.set', {
  ownerType: 'D',
  ownerId: 1,
  productRows: [{ productName: 'Nail', price: 0.1, quantity: 3 }, { productName: 'Slate', price: 10, quantity: 2, taxRate: 20, taxIncluded: 'Y' }]
})
await call('rowsList', 'crm.item.productrow.list', { filter: { '=ownerType': 'D', '=ownerId': 1 }, order: { id: 'asc' } })
await call('rowDelete', 'crm.item.productrow.delete', { id: 2 })

// The methods of deals.
await call('dealAdd', 'crm.deal.add', { fields: { TITLE: 'Третья', OPPORTUNITY: 5, STAGE_ID: 'NEW' }, params: { REGISTER_SONET_EVENT: 'Y' } })
await call('dealGet', 'crm.deal.get', { id: 3 })
await call('dealUpdate', 'crm.deal.update', { id: 3, fields: { STAGE_ID: 'WON' } })
await call('dealList', 'crm.deal.list', { filter: { '>ID': 1, STAGE_ID: 'WON' }, select: ['ID', 'TITLE', 'STAGE_SEMANTIC_ID'], order: { ID: 'ASC' } })
await call('dealRows', 'crm.deal.productrows.get', { id: 3 })
await call('dealDelete', 'crm.deal.delete', { id: 3 })

// Universal lists.
const list = { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: 47 }
await call('listsGet', 'lists.get', { IBLOCK_TYPE_ID: 'lists' })
const fields = await call('listFields', 'lists.field.get', list)
seen.listFields = Object.keys(fields)
await call('elementAdd', 'lists.element.add', { ...list, ELEMENT_CODE: 'one', FIELDS: { NAME: 'One', PROPERTY_101: 1, PROPERTY_107: 'a & b' } })
await call('elementGet', 'lists.element.get', { ...list, FILTER: { '=PROPERTY_101': 1 } })
await call('elementUpdate', 'lists.element.update', { ...list, ELEMENT_ID: 1, ELEMENT_CODE: 'one', FIELDS: { NAME: 'Uno' } })
await call('elementGetAgain', 'lists.element.get', { ...list, ELEMENT_CODE: 'one' })
await call('elementDelete', 'lists.element.delete', { ...list, ELEMENT_ID: 1 })
await call('elementGone', 'lists.element.get', list)

// The platform.
await call('user', 'user.current', {})
await call('profile', 'profile')
const now = await call('serverTime', 'server.time')
seen.serverTime = Math.abs(Text.toDateTime(now).diffNow('seconds').seconds) < 60
await call('anyCase', 'CRM.Deal.GET', { ID: 1 })
seen.anyCase = seen.anyCase.result.ID

// What the SDK reads of every answer.
const answer = await b24.actions.v2.call.make({ method: 'profile' })
const { time } = answer.getData()
seen.time = {
  numbers: ['start', 'finish', 'duration', 'processing', 'operating', 'operating_reset_at'].every((key) => Number.isFinite(time[key])),
  dates: Text.toDateTime(time.date_start).isValid && Text.toDateTime(time.date_finish).isValid
}
seen.ping = (await b24.tools.ping.make()) >= 0
seen.healthCheck = await b24.tools.healthCheck.make()
seen.retries = b24.getHttpClient('v2').getStats().retries

report(seen)
