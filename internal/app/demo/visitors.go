package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine/num"
)

// SmartInvoice is the entityTypeId of smart invoices.
const SmartInvoice = 31

// People are simulated users, who change the data of a portal through its REST API.
type People struct {
	Client *bitrix.Client
	List   int               // the shipment list
	Props  map[string]string // PROPERTY_n by code
	// Shipped is the value of a checked SHIPPED: the id of its option.
	Shipped string
}

// NewPeople returns people who use client and the shipment list with the id list.
func NewPeople(ctx context.Context, client *bitrix.Client, list int) (*People, error) {
	p := &People{Client: client, List: list}
	return p, p.readProperties(ctx)
}

// Row is a product row, with numbers as entered.
type Row struct {
	Name            string
	Price, Quantity string
}

// Write calls a writing method and decodes its result if result is not nil.
func (p *People) Write(ctx context.Context, method string, params map[string]any, result any) error {
	a := p.Client.Do(ctx, bitrix.Call{Method: method, Params: params, Write: true})[0]
	if a.Err == nil && result != nil {
		a.Err = json.Unmarshal(a.Result, result)
	}
	if a.Err != nil {
		return fmt.Errorf("people: %w", a.Err)
	}
	return nil
}

func (p *People) AddDeal(ctx context.Context, title string, rows ...Row) (int, error) {
	var id bitrix.ID
	if err := p.Write(ctx, "crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": title}}, &id); err != nil {
		return 0, err
	}
	return int(id), p.SetRows(ctx, "D", int(id), rows)
}

func (p *People) AddInvoice(ctx context.Context, title string, rows ...Row) (int, error) {
	var added struct{ Item struct{ ID bitrix.ID } }
	params := map[string]any{"entityTypeId": SmartInvoice, "fields": map[string]any{"title": title}}
	if err := p.Write(ctx, "crm.item.add", params, &added); err != nil {
		return 0, err
	}
	return int(added.Item.ID), p.SetRows(ctx, "SI", int(added.Item.ID), rows)
}

// SetRows saves the product tab of an owner.
func (p *People) SetRows(ctx context.Context, owner string, id int, rows []Row) error {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = map[string]any{"productName": r.Name, "price": r.Price, "quantity": r.Quantity}
	}
	params := map[string]any{"ownerType": owner, "ownerId": id, "productRows": list}
	return p.Write(ctx, "crm.item.productrow.set", params, nil)
}

// Rename changes the title of an invoice. No total depends on it.
func (p *People) Rename(ctx context.Context, invoice int, title string) error {
	params := map[string]any{"entityTypeId": SmartInvoice, "id": invoice, "fields": map[string]any{"title": title}}
	return p.Write(ctx, "crm.item.update", params, nil)
}

// Race renames an invoice several times at once.
func (p *People) Race(ctx context.Context, invoice int, titles ...string) error {
	errs := make([]error, len(titles))
	var wg sync.WaitGroup
	for i, title := range titles {
		wg.Go(func() { errs[i] = p.Rename(ctx, invoice, title) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *People) DeleteDeal(ctx context.Context, id int) error {
	return p.Write(ctx, "crm.deal.delete", map[string]any{"id": id}, nil)
}

// Element is an element of the list: its fields with the values of its
// properties.
type Element map[string]json.RawMessage

// ID returns the element's id.
func (e Element) ID() int {
	var id bitrix.ID
	_ = json.Unmarshal(e["ID"], &id)
	return int(id)
}

// Values returns the values of a property. The portal keys them by value id.
func (e Element) Values(property string) []string {
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

// Elements reads the elements of a deal.
func (p *People) Elements(ctx context.Context, deal int) ([]Element, error) {
	raw, err := p.Client.List(ctx, bitrix.Call{Method: "lists.element.get", Params: map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.List, "FILTER": map[string]any{"=" + p.Props["DEAL"]: deal},
	}}, "")
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	out := make([]Element, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, fmt.Errorf("people: element of deal %d: %w", deal, err)
		}
	}
	return out, nil
}

// readProperties finds the ids of the list's properties by their codes.
func (p *People) readProperties(ctx context.Context) error {
	var fields map[string]struct {
		FieldID string          `json:"FIELD_ID"`
		Code    string          `json:"CODE"`
		Options json.RawMessage `json:"DISPLAY_VALUES_FORM"` // [] when there are none
	}
	params := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.List}
	if err := p.Client.Call(ctx, "lists.field.get", params, &fields); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	p.Props, p.Shipped = map[string]string{}, "Y"
	for id, f := range fields {
		if f.Code == "" {
			continue
		}
		p.Props[f.Code] = id
		var options map[string]string
		if f.Code == "SHIPPED" && json.Unmarshal(f.Options, &options) == nil {
			for option := range options {
				p.Shipped = option
			}
		}
	}
	return nil
}

// Ship checks SHIPPED in an element. It sends all fields, as the list's form does,
// because the portal clears the missing ones.
func (p *People) Ship(ctx context.Context, e Element) error {
	fields := map[string]any{"NAME": e["NAME"]}
	for _, id := range p.Props {
		if v := e.Values(id); len(v) > 0 {
			fields[id] = v[0]
		}
	}
	fields[p.Props["SHIPPED"]] = p.Shipped
	return p.Write(ctx, "lists.element.update", map[string]any{
		"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": p.List, "ELEMENT_ID": e.ID(), "ELEMENT_CODE": e["CODE"], "FIELDS": fields,
	}, nil)
}

// ProductRow is a row of the portal.
type ProductRow struct {
	Price    num.Num `json:"price"`
	Quantity num.Num `json:"quantity"`
}

func (p *People) Rows(ctx context.Context, owner string, id int) ([]ProductRow, error) {
	raw, err := p.Client.List(ctx, bitrix.Call{Method: "crm.item.productrow.list", Params: map[string]any{
		"filter": map[string]any{"=ownerType": owner, "=ownerId": id},
	}}, "productRows")
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	out := make([]ProductRow, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, fmt.Errorf("people: row of %s %d: %w", owner, id, err)
		}
	}
	return out, nil
}

// total returns the exact sum of an invoice's rows.
func total(rows []ProductRow) (num.Num, error) {
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

// Helpers reads the totals of the helper items of an invoice.
func (p *People) Helpers(ctx context.Context, helperType, invoice int) ([]num.Num, error) {
	raw, err := p.Client.List(ctx, bitrix.Call{Method: "crm.item.list", Params: map[string]any{
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
