package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/num"
)

// smartInvoice is the entityTypeId of smart invoices.
const smartInvoice = 31

// people change the data of a portal through its REST API, as its users do
// with a browser.
type people struct {
	client *bitrix.Client
	list   int               // the shipment list
	props  map[string]string // PROPERTY_n by code
	// shipped is what a ticked SHIPPED holds: the id of its option.
	shipped string
}

// row is a product row as people enter it.
type row struct {
	name            string
	price, quantity string
}

// write changes something and reads the method's result.
func (p *people) write(ctx context.Context, method string, params map[string]any, result any) error {
	a := p.client.Do(ctx, bitrix.Call{Method: method, Params: params, Write: true})[0]
	if a.Err == nil && result != nil {
		a.Err = json.Unmarshal(a.Result, result)
	}
	if a.Err != nil {
		return fmt.Errorf("people: %w", a.Err)
	}
	return nil
}

func (p *people) addDeal(ctx context.Context, title string, rows ...row) (int, error) {
	var id bitrix.ID
	if err := p.write(ctx, "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title}}, &id); err != nil {
		return 0, err
	}
	return int(id), p.setRows(ctx, "D", int(id), rows)
}

func (p *people) addInvoice(ctx context.Context, title string, rows ...row) (int, error) {
	var added struct{ Item struct{ ID bitrix.ID } }
	params := map[string]any{"entityTypeId": smartInvoice, "fields": map[string]any{"title": title}}
	if err := p.write(ctx, "crm.item.add", params, &added); err != nil {
		return 0, err
	}
	return int(added.Item.ID), p.setRows(ctx, "SI", int(added.Item.ID), rows)
}

// setRows saves the product tab of an owner.
func (p *people) setRows(ctx context.Context, owner string, id int, rows []row) error {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = map[string]any{"productName": r.name, "price": r.price, "quantity": r.quantity}
	}
	params := map[string]any{"ownerType": owner, "ownerId": id, "productRows": list}
	return p.write(ctx, "crm.item.productrow.set", params, nil)
}

// rename changes the title of an invoice: a change that no total depends on.
func (p *people) rename(ctx context.Context, invoice int, title string) error {
	params := map[string]any{"entityTypeId": smartInvoice, "id": invoice, "fields": map[string]any{"title": title}}
	return p.write(ctx, "crm.item.update", params, nil)
}

// race renames an invoice several times at once.
func (p *people) race(ctx context.Context, invoice int, titles ...string) error {
	errs := make([]error, len(titles))
	var wg sync.WaitGroup
	for i, title := range titles {
		wg.Go(func() { errs[i] = p.rename(ctx, invoice, title) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *people) deleteDeal(ctx context.Context, id int) error {
	return p.write(ctx, "crm.deal.delete", map[string]any{"id": id}, nil)
}

// element is an element of the list: its fields with the values of its
// properties.
type element map[string]json.RawMessage

// id returns the element's id.
func (e element) id() int {
	var id bitrix.ID
	_ = json.Unmarshal(e["ID"], &id)
	return int(id)
}

// values returns the values of a property; the portal keys them by value ids.
func (e element) values(property string) []string {
	var byID map[string]string
	if json.Unmarshal(e[property], &byID) != nil {
		return nil
	}
	var out []string
	for _, v := range byID {
		out = append(out, v)
	}
	return out
}

// elements reads the elements of a deal.
func (p *people) elements(ctx context.Context, deal int) ([]element, error) {
	raw, err := p.client.List(ctx, bitrix.Call{Method: "lists.element.get", Params: map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.list, "FILTER": map[string]any{"=" + p.props["DEAL"]: deal},
	}}, "")
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	out := make([]element, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, fmt.Errorf("people: element of deal %d: %w", deal, err)
		}
	}
	return out, nil
}

// readProperties finds the ids of the list's properties by their codes.
func (p *people) readProperties(ctx context.Context) error {
	var fields map[string]struct {
		FieldID string          `json:"FIELD_ID"`
		Code    string          `json:"CODE"`
		Options json.RawMessage `json:"DISPLAY_VALUES_FORM"` // [] when there are none
	}
	params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.list}
	if err := p.client.Call(ctx, "lists.field.get", params, &fields); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	p.props, p.shipped = map[string]string{}, "Y"
	for id, f := range fields {
		if f.Code == "" {
			continue
		}
		p.props[f.Code] = id
		var options map[string]string
		if f.Code == "SHIPPED" && json.Unmarshal(f.Options, &options) == nil {
			for option := range options {
				p.shipped = option
			}
		}
	}
	return nil
}

// ship ticks SHIPPED in an element. The list's form sends every field, since
// the portal clears those that it is not given.
func (p *people) ship(ctx context.Context, e element) error {
	fields := map[string]any{"NAME": e["NAME"]}
	for _, id := range p.props {
		if v := e.values(id); len(v) > 0 {
			fields[id] = v[0]
		}
	}
	fields[p.props["SHIPPED"]] = p.shipped
	return p.write(ctx, "lists.element.update", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.list, "ELEMENT_ID": e.id(), "ELEMENT_CODE": e["CODE"], "FIELDS": fields,
	}, nil)
}

// productRow is a row as the portal holds it.
type productRow struct {
	Price    num.Num `json:"price"`
	Quantity num.Num `json:"quantity"`
}

func (p *people) rows(ctx context.Context, owner string, id int) ([]productRow, error) {
	raw, err := p.client.List(ctx, bitrix.Call{Method: "crm.item.productrow.list", Params: map[string]any{
		"filter": map[string]any{"=ownerType": owner, "=ownerId": id},
	}}, "productRows")
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	out := make([]productRow, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, fmt.Errorf("people: row of %s %d: %w", owner, id, err)
		}
	}
	return out, nil
}

// total is what an invoice's helper should say: the sum of its rows, exactly.
func total(rows []productRow) (num.Num, error) {
	var sum num.Num
	for _, r := range rows {
		part, err := r.Price.Mul(r.Quantity)
		if err != nil {
			return sum, err
		}
		if sum, err = sum.Add(part); err != nil {
			return sum, err
		}
	}
	return sum.Round(2), nil
}

// helpers reads the totals that the helper items of an invoice hold.
func (p *people) helpers(ctx context.Context, helperType, invoice int) ([]num.Num, error) {
	raw, err := p.client.List(ctx, bitrix.Call{Method: "crm.item.list", Params: map[string]any{
		"entityTypeId": helperType, "filter": map[string]any{"ufCrm5InvoiceId": strconv.Itoa(invoice)},
	}}, "items")
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	out := make([]num.Num, len(raw))
	for i := range raw {
		var item struct {
			Total num.Num `json:"ufCrm5Total"`
		}
		if err := json.Unmarshal(raw[i], &item); err != nil {
			return nil, fmt.Errorf("people: helper of invoice %d: %w", invoice, err)
		}
		out[i] = item.Total
	}
	return out, nil
}
