package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/schemas"
)

// Pull reads the portal. It fails if the portal cannot be asked. A part that the
// credentials may not read is in Unread.
func Pull(ctx context.Context, name string, c *bitrix.Client) (*Snapshot, error) {
	p := &pull{ctx: ctx, client: c, s: &Snapshot{Portal: name, Directories: map[string][]Choice{}, Types: []Type{}, Lists: []List{}, Unread: map[string]string{}}}
	for _, part := range []struct {
		name string
		read func() error
	}{
		{PartScopes, p.scopes}, {PartCurrencies, p.currencies}, {PartDirectories, p.directories}, {PartTypes, p.types}, {PartLists, p.lists},
	} {
		err := part.read()
		switch {
		case err == nil:
		case refused(err):
			p.unread(part.name, err)
		default:
			return nil, err
		}
	}
	p.s.sortAll()
	return p.s, nil
}

// refused reports whether the portal refuses this question alone.
func refused(err error) bool {
	for _, code := range []string{"ACCESS_DENIED", "insufficient_scope", "allowed_only_intranet_user", "ERROR_METHOD_NOT_FOUND", "ENTITY_TYPE_NOT_SUPPORTED"} {
		if bitrix.IsCode(err, code) {
			return true
		}
	}
	return false
}

// reason is an error without the parts that differ from day to day.
func reason(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

type pull struct {
	ctx    context.Context
	client *bitrix.Client

	mu sync.Mutex // of s while types and lists are read
	s  *Snapshot
}

// each reads n things in parallel, so that their calls share requests: one at a time, a portal with
// 200 lists would take minutes. The error is the first one in the order of the things.
func each(n int, read func(i int) error) error {
	errs := make([]error, n)
	var readers sync.WaitGroup
	for i := range n {
		readers.Go(func() { errs[i] = read(i) })
	}
	readers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// unread notes that the portal refuses a part.
func (p *pull) unread(part string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.Unread[part] = reason(err)
}

func decode(method string, raw json.RawMessage, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: the answer is not what the documentation says: %w", method, err)
	}
	return nil
}

// all reads all pages.
func all[T any](p *pull, method string, params map[string]any, wrapper string) ([]T, error) {
	rows, err := p.client.List(p.ctx, bitrix.Call{Method: method, Params: params}, wrapper)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(rows))
	for i, raw := range rows {
		if err := decode(method, raw, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *pull) scopes() error { return p.client.Read(p.ctx, "scope", nil, &p.s.Scopes) }

// https://apidocs.bitrix24.com/api-reference/crm/currency/crm-currency-list.html
func (p *pull) currencies() error {
	rows, err := all[struct {
		Code string `json:"CURRENCY"`
	}](p, "crm.currency.list", nil, "")
	for _, r := range rows {
		if r.Code == "" {
			return fmt.Errorf("crm.currency.list: a currency has no code")
		}
		p.s.Currencies = append(p.s.Currencies, r.Code)
	}
	return err
}

// https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html
func (p *pull) directories() error {
	rows, err := all[struct {
		Directory string `json:"ENTITY_ID"`
		ID        string `json:"STATUS_ID"`
		Title     string `json:"NAME"`
		Semantics string `json:"SEMANTICS"`
	}](p, "crm.status.list", map[string]any{"order": map[string]any{"SORT": "ASC"}}, "")
	for _, r := range rows {
		if r.Directory == "" || r.ID == "" {
			return fmt.Errorf("crm.status.list: an entry has no id")
		}
		p.s.Directories[r.Directory] = append(p.s.Directories[r.Directory], Choice{ID: r.ID, Title: r.Title, Semantics: r.Semantics})
	}
	return err
}

// typeRow is a smart process in crm.type.list.
type typeRow struct {
	ID       bitrix.ID    `json:"id"`
	Entity   bitrix.ID    `json:"entityTypeId"`
	Title    string       `json:"title"`
	Products bitrix.YesNo `json:"isLinkWithProductsEnabled"`
}

// types reads the built-in types and the smart processes.
func (p *pull) types() error {
	var types []Type
	for _, o := range schemas.Owners() {
		types = append(types, Type{ID: o.ID, Title: ownerTitle(o), Products: o.Rows})
	}
	rows, failed := all[typeRow](p, "crm.type.list", nil, "types")
	if bitrix.IsCode(failed, "ACCESS_DENIED") {
		rows, failed = p.ownerTypes() // crm.type.list is for administrators of the CRM
	}
	for _, r := range rows {
		types = append(types, Type{ID: int(r.Entity), Number: int(r.ID), Title: r.Title, Products: bool(r.Products)})
	}
	// The built-in types can be read also if the smart processes cannot.
	return cmp.Or(each(len(types), func(i int) error { return p.addType(types[i]) }), failed)
}

func ownerTitle(o schemas.Owner) string { return strings.ReplaceAll(o.Name, "_", " ") }

// ownerTypes reads the smart processes without their own ids.
// https://apidocs.bitrix24.com/api-reference/crm/auxiliary/enum/crm-enum-owner-type.html
func (p *pull) ownerTypes() ([]typeRow, error) {
	var rows []struct {
		ID    bitrix.ID `json:"ID"`
		Title string    `json:"NAME"`
	}
	if err := p.client.Read(p.ctx, "crm.enum.ownertype", nil, &rows); err != nil {
		return nil, err
	}
	var out []typeRow
	for _, r := range rows {
		if r.ID >= schemas.FirstDynamicType {
			out = append(out, typeRow{Entity: r.ID, Title: r.Title})
		}
	}
	return out, nil
}

// addType adds a type with its fields and pipelines. A type that the user may not see is
// unread.
func (p *pull) addType(t Type) error {
	f, err := p.client.ItemFields(p.ctx, t.ID)
	switch {
	case err != nil && refused(err):
		p.unread(PartType(t.ID), err)
		return nil
	case err != nil:
		return err
	}
	for _, name := range f.Names() {
		x, _ := f.Lookup(name)
		t.Fields = append(t.Fields, fieldOf(x))
	}
	if err := p.pipelines(&t); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.Types = append(p.s.Types, t)
	return nil
}

func fieldOf(x bitrix.ItemField) Field {
	out := Field{
		Name: x.Name, Stored: x.UpperName, Title: x.Title, Type: x.Type, Directory: x.StatusType, Custom: x.Dynamic, Required: x.Required,
		ReadOnly: x.ReadOnly, Immutable: x.Immutable, Multiple: x.Multiple, Choices: choices(x.Enum),
	}
	if x.Precision >= 0 {
		out.Digits = &x.Precision
	}
	return out
}

func choices(enum map[string]string) []Choice {
	var out []Choice
	for _, id := range slices.Sorted(maps.Keys(enum)) {
		out = append(out, Choice{ID: id, Title: enum[id]})
	}
	return out
}

// pipelines reads the pipelines of a type that has some.
// https://apidocs.bitrix24.com/api-reference/crm/universal/category/crm-category-list.html
func (p *pull) pipelines(t *Type) error {
	t.Pipelines = []Pipeline{}
	var answer struct {
		Categories []struct {
			ID    bitrix.ID `json:"id"`
			Title string    `json:"name"`
		} `json:"categories"`
	}
	err := p.client.Read(p.ctx, "crm.category.list", map[string]any{"entityTypeId": t.ID}, &answer)
	switch {
	case err != nil && bitrix.IsCode(err, "ENTITY_TYPE_NOT_SUPPORTED"):
		return nil // a type without pipelines
	case err != nil && refused(err):
		p.unread(PartPipelines(t.ID), err)
		return nil
	case err != nil:
		return err
	case answer.Categories == nil:
		return fmt.Errorf("crm.category.list: the answer has no categories")
	}
	for _, c := range answer.Categories {
		if stages := p.stagesOf(t.ID, int(c.ID)); stages != "" {
			t.Pipelines = append(t.Pipelines, Pipeline{ID: int(c.ID), Title: c.Title, Stages: stages})
		}
	}
	return nil
}

// stagesOf is the directory with the stages of a pipeline, "" if the type has no stages.
// https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html
func (p *pull) stagesOf(typ, pipeline int) string {
	switch {
	case typ == schemas.TypeDeal && pipeline == 0:
		return "DEAL_STAGE"
	case typ == schemas.TypeDeal:
		return fmt.Sprintf("DEAL_STAGE_%d", pipeline)
	case typ == schemas.TypeSmartInvoice:
		return fmt.Sprintf("SMART_INVOICE_STAGE_%d", pipeline)
	case typ >= schemas.FirstDynamicType:
		return fmt.Sprintf("DYNAMIC_%d_STAGE_%d", typ, pipeline)
	}
	return ""
}

// lists reads the universal lists, also those of business processes, which may have other
// rights.
func (p *pull) lists() error {
	if err := p.listsOf(typeLists); err != nil {
		return err
	}
	err := p.listsOf(typeProcesses)
	if refused(err) {
		p.unread(PartProcesses, err)
		return nil
	}
	return err
}

// https://apidocs.bitrix24.com/api-reference/lists/lists/lists-get.html
func (p *pull) listsOf(typ string) error {
	rows, err := all[struct {
		ID    bitrix.ID `json:"ID"`
		Code  string    `json:"CODE"`
		Title string    `json:"NAME"`
	}](p, "lists.get", map[string]any{"IBLOCK_TYPE_ID": typ}, "")
	if err != nil {
		return err
	}
	return each(len(rows), func(i int) error {
		return p.addList(List{ID: int(rows[i].ID), Type: typ, Code: rows[i].Code, Title: rows[i].Title})
	})
}

func (p *pull) addList(l List) error {
	f, err := p.client.ListFields(p.ctx, l.Type, l.ID)
	switch {
	case err != nil && refused(err):
		p.unread(PartList(l.ID), err)
		return nil
	case err != nil:
		return err
	}
	for _, x := range f.All() {
		l.Properties = append(l.Properties, Property{
			ID: x.ID, Code: x.Code, Title: x.Name, Type: x.Type, Required: x.Required, Multiple: x.Multiple, Choices: choices(x.Enum),
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.Lists = append(p.s.Lists, l)
	return nil
}
