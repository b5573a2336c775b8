package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/app/demo"
)

// do lets a step happen.
func (w *world) do(s step) {
	switch s.op {
	case opAddDeal, opAddBill:
		w.add(s)
	case opRows, opEditRow:
		w.saveRows(w.deals, s, "D")
	case opBillRows:
		w.saveRows(w.bills, s, "SI")
	case opTouch:
		w.rename(w.deals, s, dealType)
	case opTouchBill:
		w.rename(w.bills, s, demo.SmartInvoice)
	case opDeleteDeal:
		w.remove(w.deals, s, dealType)
	case opDeleteBill:
		w.remove(w.bills, s, demo.SmartInvoice)
	case opTick, opMeddle:
		w.tick(s)
	case opForeign:
		w.addForeign(s)
	case opNote:
		w.note(s)
	case opDeliver, opDeliverAll, opAgain:
		w.postal(s)
	case opSleep:
		time.Sleep(s.wait)
	case opFinish:
		w.finish()
	case opFaults:
		w.faults = slices.Clone(s.faults)
		w.arm()
	case opHeal:
		w.faults = nil
		w.arm()
	case opCrash:
		w.kill(s.flag)
	case opCrashAtWork:
		w.killAtWork(s.n%2 == 0, s.flag, s.wait)
	case opLose:
		if w.engine != nil {
			w.engine.wire.mu.Lock()
			w.engine.wire.lose, w.engine.wire.lag = 1+s.n%3, s.wait
			w.engine.wire.mu.Unlock()
		}
	case opStop:
		w.stop()
	case opStart:
		w.start()
	}
}

func (w *world) postal(s step) {
	switch s.op {
	case opDeliver:
		if form, ok := w.mail.take(s.which); ok {
			w.deliver(form)
		}
	case opDeliverAll:
		w.deliverAll()
	case opAgain:
		if len(w.posted) > 0 {
			w.deliver(w.posted[s.which%len(w.posted)])
		}
	}
}

const dealType = 2

// choose returns the owner that a step is about, nil when it is gone.
func choose(all []*modelOwner, which int) *modelOwner {
	if len(all) == 0 {
		return nil
	}
	if o := all[which%len(all)]; !o.gone {
		return o
	}
	return nil
}

func (w *world) add(s step) {
	owner := &modelOwner{}
	w.act(func(ctx context.Context) (err error) {
		if s.op == opAddDeal {
			owner.id, err = w.people.AddDeal(ctx, "Deal")
			return err
		}
		owner.id, err = w.people.AddInvoice(ctx, "Invoice")
		return err
	})
	owner.past = []pastRows{{at: 0}}
	short := "D"
	if s.op == opAddDeal {
		w.deals = append(w.deals, owner)
	} else {
		w.bills, short = append(w.bills, owner), "SI"
	}
	w.set(owner, short, s.rows)
}

// saveRows saves a product tab, of which an edited row gets another id.
func (w *world) saveRows(all []*modelOwner, s step, short string) {
	o := choose(all, s.which)
	if o == nil {
		return
	}
	rows := s.rows
	if s.op == opEditRow {
		if len(o.rows) == 0 {
			return
		}
		rows = slices.Clone(o.rows)
		rows[s.n%len(rows)].tenths = int64(1+s.n%7) * 10
	}
	w.set(o, short, rows)
}

func (w *world) set(o *modelOwner, short string, rows []modelRow) {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = map[string]any{"productId": r.product, "productName": r.name, "price": r.price(), "quantity": r.quantity(), "sort": 10 * (i + 1)}
	}
	w.act(func(ctx context.Context) error {
		return w.people.Write(ctx, "crm.item.productrow.set", map[string]any{"ownerType": short, "ownerId": o.id, "productRows": list}, nil)
	})
	o.rows = rows
	o.past = append(o.past, pastRows{at: len(w.portal.History()), rows: rows})
}

func (w *world) rename(all []*modelOwner, s step, typ int) {
	if o := choose(all, s.which); o != nil {
		w.act(func(ctx context.Context) error { return w.touch(ctx, o, typ) })
	}
}

func (w *world) touch(ctx context.Context, o *modelOwner, typ int) error {
	title := fmt.Sprint("Title ", len(w.acts))
	return w.people.Write(ctx, "crm.item.update", map[string]any{"entityTypeId": typ, "id": o.id, "fields": map[string]any{"title": title}}, nil)
}

func (w *world) remove(all []*modelOwner, s step, typ int) {
	o := choose(all, s.which)
	if o == nil {
		return
	}
	w.act(func(ctx context.Context) error {
		return w.people.Write(ctx, "crm.item.delete", map[string]any{"entityTypeId": typ, "id": o.id}, nil)
	})
	o.gone = true
	o.past = append(o.past, pastRows{at: len(w.portal.History()), gone: true})
}

// rest waits until no run is running. A person who saves an element between the read
// and the write of a run would lose the change, because the portal cannot update a
// part of an element.
func (w *world) rest() {
	time.Sleep(time.Until(w.arrived))
	if w.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	if err := w.engine.service.Queue().WaitIdle(ctx); err != nil {
		w.complain("runs do not end: %v", err)
	}
}

// tick ticks SHIPPED in an element of a deal and writes a comment; a meddler
// also changes what belongs to the rule, which the next run puts right.
func (w *world) tick(s step) {
	o := choose(w.deals, s.which)
	if o == nil {
		return
	}
	w.rest()
	meddled := false
	w.act(func(ctx context.Context) error {
		all, err := w.people.Elements(ctx, o.id)
		if err != nil || len(all) == 0 {
			return err
		}
		e := all[s.n%len(all)]
		comment := fmt.Sprint("seen ", len(w.acts))
		fields := map[string]any{"NAME": e["NAME"]}
		for _, id := range w.people.Props {
			if v := e.Values(id); len(v) > 0 {
				fields[id] = v[0]
			}
		}
		fields[w.people.Props["SHIPPED"]], fields[w.people.Props["COMMENT"]] = w.people.Shipped, comment
		if s.op == opMeddle && w.foreign[int64(e.ID())] == nil {
			meddled = true
			fields[w.people.Props["QUANTITY"]] = "999"
		}
		w.wrote("element", e.ID(), w.people.Shipped+"|"+comment)
		return w.people.Write(ctx, "lists.element.update", map[string]any{
			"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": w.people.List, "ELEMENT_ID": e.ID(), "ELEMENT_CODE": e["CODE"], "FIELDS": fields,
		}, nil)
	})
	if meddled {
		w.act(func(ctx context.Context) error { return w.touch(ctx, o, dealType) })
	}
}

// wrote notes what a person wrote where no rule writes.
func (w *world) wrote(kind string, id int, text string) {
	key := fmt.Sprint(kind, " ", id)
	w.edits[key] = append(w.edits[key], text)
}

// addForeign adds an element that no rule made; with a product it may be taken
// over by a row.
func (w *world) addForeign(s step) {
	o := choose(w.deals, s.which)
	if o == nil {
		return
	}
	w.act(func(ctx context.Context) error {
		fields := map[string]any{"NAME": "By hand", w.people.Props["DEAL"]: o.id, w.people.Props["COMMENT"]: "a gift"}
		if s.product() != 0 {
			fields[w.people.Props["PRODUCT_ID"]] = s.product()
		}
		var id bitrix.ID
		err := w.people.Write(ctx, "lists.element.add", map[string]any{
			"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": w.people.List, "ELEMENT_CODE": fmt.Sprint("hand-", len(w.acts)), "FIELDS": fields,
		}, &id)
		w.foreign[int64(id)] = &foreignElement{deal: o, product: s.product()}
		w.wrote("element", int(id), "|a gift")
		return err
	})
}

// note writes into the helper of an invoice what no rule writes.
func (w *world) note(s step) {
	o := choose(w.bills, s.which)
	if o == nil {
		return
	}
	w.rest()
	w.act(func(ctx context.Context) error {
		raw, err := w.people.Client.List(ctx, bitrix.Call{Method: "crm.item.list", Params: map[string]any{
			"entityTypeId": w.ids.TotalsType, "filter": map[string]any{w.ids.InvoiceField: o.id},
		}}, "items")
		if err != nil || len(raw) == 0 {
			return err
		}
		var item struct{ ID bitrix.ID }
		if err := json.Unmarshal(raw[0], &item); err != nil {
			return err
		}
		text := fmt.Sprint("note ", len(w.acts))
		w.wrote("helper", int(item.ID), text)
		return w.people.Write(ctx, "crm.item.update", map[string]any{
			"entityTypeId": w.ids.TotalsType, "id": item.ID, "fields": map[string]any{"ufCrm5Note": text},
		}, nil)
	})
}
