// The emulator's page: what the portal holds, and what a salesperson does to
// it. It reads and writes as a person inside the portal, so that nothing of it
// counts against the limits of the REST clients it shows.

const every = 1000 // ms between two looks
const shown = 50 // items and calls
const learnEvery = 10 // looks, after which there may be another smart process or list

const $ = (id) => document.getElementById(id)
const state = { types: [], lists: [], tab: null, open: null, find: '', looks: 0, busy: false }

/** make builds an element; children are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

async function get(path) {
  const response = await fetch('/_emulator/' + path)
  if (!response.ok) throw new Error(`${path}: status ${response.status}`)
  return response.json()
}

/** person runs a method as a person in the portal's pages does. */
async function person(method, params) {
  const response = await fetch('/_emulator/person/' + method, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(params)
  })
  const answer = await response.json()
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error_description || answer.error}`)
  return answer
}

/** change does something and shows what came of it. */
async function change(method, params) {
  try {
    const answer = await person(method, params)
    complain(null)
    await look(true)
    return answer.result
  } catch (error) {
    complain(error)
  }
}

function complain(error) {
  $('problem').hidden = !error
  $('problem').textContent = error ? error.message : ''
}

const money = (value, currency) => `${Number(value ?? 0).toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })} ${currency ?? ''}`.trim()

// What there is: deals, smart invoices, smart processes, lists.

async function learn() {
  const before = tabs().map((tab) => tab.key + tab.title).join()
  const types = [{ id: 2, title: 'Deals', rows: 'D', noun: 'deal', article: 'a' }, { id: 31, title: 'Invoices', rows: 'SI', noun: 'invoice', article: 'an' }]
  for (const type of (await person('crm.type.list', {})).result.types) {
    types.push({ id: type.entityTypeId, title: type.title, rows: null, noun: 'item', article: 'an' })
  }
  for (const type of types) {
    type.fields = (await person('crm.item.fields', { entityTypeId: type.id })).result.fields
  }
  state.types = types
  state.lists = (await person('lists.get', { IBLOCK_TYPE_ID: 'lists' })).result.map((list) => ({ id: list.ID, title: list.NAME }))
  for (const list of state.lists) {
    const fields = (await person('lists.field.get', { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: list.id })).result
    list.columns = Object.entries(fields).filter(([name]) => name === 'NAME' || name.startsWith('PROPERTY_'))
      .map(([name, field]) => ({ name, title: field.NAME, options: field.DISPLAY_VALUES_FORM ?? null }))
  }
  if (tabs().map((tab) => tab.key + tab.title).join() !== before) drawTabs()
}

const tabs = () => [
  ...state.types.map((type) => ({ key: 'type-' + type.id, title: type.title, type })),
  ...state.lists.map((list) => ({ key: 'list-' + list.id, title: list.title, list }))
]

function drawTabs() {
  if (!tabs().some((tab) => tab.key === state.tab)) state.tab = tabs()[0].key
  $('tabs').replaceChildren(...tabs().map((tab) => make('button', {
    role: 'tab', 'aria-selected': String(tab.key === state.tab), onclick: () => { state.tab = tab.key; state.open = null; drawn = ''; drawTabs(); look(true) }
  }, tab.title)))
}

// One look at the portal.

let drawn = ''

async function look(now = false) {
  if (state.busy && !now) return
  state.busy = true
  const turn = state.looks++
  try {
    if (turn % learnEvery === 0 || state.types.length === 0) await learn()
    const tab = tabs().find((each) => each.key === state.tab)
    const [stats, calls, view] = await Promise.all([get('stats'), get('calls?last=' + shown), tab.type ? readType(tab.type) : readList(tab.list)])
    if (!latest(turn)) return // another click came first, and reads again
    drawStats(stats)
    drawCalls(calls)
    // Only what has changed is drawn again, and not where a person is typing.
    const text = JSON.stringify([state.tab, state.open, view])
    if (text !== drawn && (now || !document.activeElement?.matches('#panel input'))) {
      drawn = text
      $('panel').replaceChildren(...(tab.type ? drawType(tab.type, view) : drawList(tab.list, view)))
    }
    if (!now) complain(null)
  } catch (error) {
    complain(error)
  } finally {
    if (latest(turn)) state.busy = false
  }
}

const latest = (turn) => turn === state.looks - 1

/** wanted is the filter of what is to be found: a number, or part of a name. */
const wanted = (id, name) => state.find === '' ? {} : /^[0-9]+$/.test(state.find) ? { [id]: state.find } : { [`%${name}`]: state.find }

async function readType(type) {
  const { result, total } = await person('crm.item.list', { entityTypeId: type.id, filter: wanted('id', 'title'), order: { id: 'DESC' } })
  let rows = []
  if (type.rows && state.open !== null) {
    rows = (await person('crm.item.productrow.list', { filter: { '=ownerType': type.rows, '=ownerId': state.open }, order: { id: 'ASC' } })).result.productRows
  }
  return { items: result.items.map(({ updatedTime, ...item }) => item), total, rows }
}

async function readList(list) {
  const { result, total } = await person('lists.element.get', { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: list.id, FILTER: wanted('ID', 'NAME'), ELEMENT_ORDER: { ID: 'DESC' } })
  return { elements: result, total: total ?? result.length }
}

function drawStats(stats) {
  const limited = stats.capacity > 0
  $('level').max = limited ? stats.capacity : 1
  $('level').high = limited ? stats.capacity * 0.8 : 1
  $('level').value = stats.level
  $('level-text').textContent = limited ? `${stats.level.toFixed(0)} of ${stats.capacity}` : 'no limit'
  const counters = { requests: stats.requests, refused: stats.refused, batches: stats.batches, 'events sent': stats.events_sent, failed: stats.events_failed, queued: stats.events_queued }
  $('counters').replaceChildren(...Object.entries(counters).map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, String(value)))))
}

function drawCalls(calls) {
  $('no-calls').hidden = calls.length > 0
  $('calls').replaceChildren(...calls.reverse().map((call) => make('li', {},
    make('span', { class: 'status ' + (call.status === 200 && !call.error ? 'good' : 'bad') }, call.fault ? `${call.status || ''} ${call.fault}`.trim() : call.error || String(call.status)),
    make('span', {}, (call.batch ? '· ' : '') + call.method), ' ',
    make('span', { class: 'params' }, cut(JSON.stringify(call.params) ?? '', 160)))))
}

const cut = (text, most) => text.length > most ? text.slice(0, most) + '…' : text

// Items.

function drawType(type, { items, total, rows }) {
  const add = async () => {
    const result = await change('crm.item.add', { entityTypeId: type.id, fields: { title: `New ${type.noun}` } })
    if (result) open(type, result.item.id)
  }
  return [
    make('div', { class: 'tools' }, make('button', { class: 'main', id: 'add', onclick: add }, `Add ${type.article} ${type.noun}`),
      make('span', { class: 'hint' }, counted(items, total))),
    make('ul', { class: 'items' }, ...items.map((item) => drawItem(type, item, rows)))
  ]
}

const counted = (seen, total) => total > seen.length ? `the latest ${seen.length} of ${total}` : `${total} ${state.find === '' ? 'in all' : 'found'}`

function open(type, id) {
  state.open = id
  look(true)
}

function drawItem(type, item, rows) {
  const isOpen = state.open === item.id
  const details = make('details', { class: 'item', open: isOpen, id: `item-${item.id}` },
    make('summary', { onclick: (event) => { event.preventDefault(); open(type, isOpen ? null : item.id) } },
      make('span', { class: 'id' }, `#${item.id}`), make('span', { class: 'title' }, item.title ?? ''),
      make('span', { class: 'stage' }, item.stageId ?? ''), item.opportunity === undefined ? null : make('span', { class: 'sum' }, money(item.opportunity, item.currencyId))))
  if (isOpen) details.append(drawDetail(type, item, rows))
  return make('li', {}, details)
}

function drawDetail(type, item, rows) {
  const update = (fields) => change('crm.item.update', { entityTypeId: type.id, id: item.id, fields })
  const custom = Object.entries(item).filter(([name]) => name.startsWith('uf'))
  const goal = goals[type.id]
  return make('div', { class: 'detail' },
    make('div', { class: 'tools' },
      make('label', {}, 'Title ', make('input', { name: 'title', value: item.title ?? '', onchange: (event) => update({ title: event.target.value }) })),
      item.stageId && goal ? make('button', { name: 'win', onclick: () => update({ stageId: item.stageId.replace(/[^:]*$/, goal.stage) }) }, goal.text) : null,
      make('button', { class: 'danger', name: 'delete', onclick: () => change('crm.item.delete', { entityTypeId: type.id, id: item.id }) }, 'Delete')),
    type.rows ? drawRows(type, item, rows) : null,
    custom.length ? make('dl', { class: 'fields' }, ...custom.flatMap(([name, value]) => [make('dt', {}, type.fields[name]?.title ?? '', ' ', make('code', {}, name)), make('dd', {}, choice(type.fields[name], value))])) : null)
}

// goals are what a salesperson works for: the stage of success of each type.
const goals = { 2: { stage: 'WON', text: 'Win the deal' }, 31: { stage: 'P', text: 'Mark as paid' } }

/** choice shows a custom field; of a choice there are only ids. */
const choice = (field, value) => field?.items && value !== null
  ? [value].flat().map((id) => field.items.find((item) => item.ID === String(id))?.VALUE ?? id).join(', ') || '—'
  : plain(value)

const plain = (value) => value === null ? '—' : typeof value === 'object' ? JSON.stringify(value) : String(value)

function drawRows(type, item, rows) {
  const edit = (row, name) => make('input', {
    type: 'number', step: 'any', name, 'aria-label': `${name} of ${row.productName}`, value: row[name],
    onchange: (event) => change('crm.item.productrow.update', { id: row.id, fields: { [name]: event.target.value } })
  })
  const add = () => change('crm.item.productrow.add', { fields: { ownerType: type.rows, ownerId: item.id, productName: `Product ${rows.length + 1}`, price: 100, quantity: 1 } })
  return make('div', { class: 'scroll' },
    make('table', { class: 'rows' },
      make('thead', {}, make('tr', {}, ...['Product', 'Price', 'Quantity', 'Sum', ''].map((title, i) => make('th', { class: i > 0 ? 'number' : null }, title)))),
      make('tbody', {}, ...rows.map((row) => make('tr', {},
        make('td', { class: 'text' }, row.productName), make('td', { class: 'number' }, edit(row, 'price')), make('td', { class: 'number' }, edit(row, 'quantity')),
        make('td', { class: 'number' }, money(row.price * row.quantity)),
        make('td', { class: 'number' }, make('button', { class: 'danger', 'aria-label': `Remove ${row.productName}`, onclick: () => change('crm.item.productrow.delete', { id: row.id }) }, '×')))))),
    make('button', { name: 'add-row', onclick: add }, 'Add a product'))
}

// Elements of lists.

function drawList(list, { elements, total }) {
  const value = (element, column) => {
    const found = element[column.name]
    const values = found !== null && typeof found === 'object' ? Object.values(found).flat() : found === undefined ? [] : [found]
    return values.map((each) => column.options?.[each] ?? plain(each)).join(', ')
  }
  const remove = (element) => change('lists.element.delete', { IBLOCK_TYPE_ID: 'lists', IBLOCK_ID: list.id, ELEMENT_ID: element.ID })
  return [
    make('p', { class: 'hint' }, counted(elements, total)),
    make('div', { class: 'scroll' }, make('table', { class: 'elements' },
      make('thead', {}, make('tr', {}, make('th', {}, 'ID'), make('th', {}, 'Code'), ...list.columns.map((column) => make('th', {}, column.title)), make('th', {}, ''))),
      make('tbody', {}, ...elements.map((element) => make('tr', {}, make('td', { class: 'number' }, element.ID), make('td', { class: 'text' }, element.CODE ?? ''),
        ...list.columns.map((column) => make('td', {}, value(element, column))),
        make('td', {}, make('button', { class: 'danger', 'aria-label': `Delete ${element.NAME}`, onclick: () => remove(element) }, '×')))))))
  ]
}

$('find').addEventListener('input', (event) => { state.find = event.target.value.trim(); state.open = null; look(true) })
await look()
setInterval(() => { if (!document.hidden) look() }, every)
