// Deals by @2bad/bitrix, which sends everything by GET. The test reads the report: the
// last line of the output, as JSON.
import client from '@2bad/bitrix'

const b24 = client.Bitrix(process.env.B24_WEBHOOK.replace(/\/$/, ''))
const seen = {}
const failed = (promise) => promise.then(() => 'no error', (error) => error.message)

// 120 deals in three batches, which the portal may work in any order.
const commands = Array.from({ length: 120 }, (_, i) => ({ method: 'crm.deal.add', params: { fields: { TITLE: `Deal ${i} & "№" = 100 %`, OPPORTUNITY: i + 0.5 } } }))
const ids = (await b24.batch(commands)).result.result
seen.added = new Set(ids).size

// The whole list: one call, then a batch of its pages.
const all = await b24.deals.list({ select: ['ID', 'TITLE', 'OPPORTUNITY'], order: { ID: 'ASC' } })
seen.list = {
  total: all.total,
  deals: all.result.length,
  ascending: all.result.every((deal, i) => i === 0 || Number(deal.ID) > Number(all.result[i - 1].ID)),
  same: ids.every((id, i) => { const deal = all.result.find((deal) => Number(deal.ID) === id); return deal.TITLE === `Deal ${i} & "№" = 100 %` && deal.OPPORTUNITY === `${i}.50` })
}
const some = await b24.deals.list({ select: ['ID'], filter: { '>=OPPORTUNITY': 10, '@ID': ids.slice(0, 40) } })
seen.filtered = some.result.length

seen.updated = (await b24.deals.update(String(ids[0]), { TITLE: 'Changed', COMMENTS: '' })).result
seen.got = (await b24.deals.get(String(ids[0]))).result.TITLE
seen.deleted = (await b24.call('crm.deal.delete', { ID: ids[1] })).result
seen.gone = await failed(b24.deals.get(String(ids[1])))
seen.left = (await b24.deals.list({ select: ['ID'] })).total

// Answers under names, and a command that fails.
seen.named = (await b24.batch({ first: { method: 'crm.deal.get', params: { ID: ids[2] } }, again: { method: 'crm.deal.list', params: { filter: { ID: '$result[first][ID]' }, select: ['TITLE'] } } })).result.result.again.length
seen.refused = (await failed(b24.batch({ good: { method: 'profile' }, bad: { method: 'crm.none' } }))).split(':')[0]
seen.none = await failed(b24.call('crm.none', {}))

process.stdout.write(JSON.stringify(seen) + '\n')
