package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// question is something that we assume of portals.
type question struct {
	// Name is its name in the report, Text the statement that is true or not.
	Name, Text string
	ask        func(ctx context.Context, p *prober) Answer
}

// questions are in the order of the report.
var questions = []question{
	{"owners_of_rows", "crm.item.productrow.list takes a list of owners", ownersOfRows},
	{"owners_of_elements", "lists.element.get takes a list of values of a property", ownersOfElements},
	{"references_in_filters", "a filter in a batch can refer to the last id of the page before it", references},
	{"element_code_unique", "lists.element.add refuses a second element with one ELEMENT_CODE", codeTwice},
	{"element_code_checked", "lists.element.update refuses an ELEMENT_CODE that the element does not have", codeChecked},
	{"update_clears", "lists.element.update clears the properties that it omits", updateClears},
	{"ids_are_numbers", "crm.item.get answers ids as numbers", idsAreNumbers},
	{"long_numbers", "answers have numbers with 17 digits, such as 0.10000000000000001", longNumbers},
	{"dates_day_first", "lists write dates with slashes and the day first: 31/12/2026", dayFirst},
	{"operating_counts_short", "commands shorter than 0.1 s count as operating time", operating},
	{"offline_extended", "the plan keeps offline events until they are confirmed", feature(bitrix.FeatureOffline)},
	{"auth_connector", "the plan can omit our own changes from offline events", feature(bitrix.FeatureConnector)},
}

func yesIf(yes bool, format string, args ...any) Answer {
	a := Answer{Value: No, Seen: fmt.Sprintf(format, args...)}
	if yes {
		a.Value = Yes
	}
	return a
}

// unknown is the answer to a question that could not be asked. The text of an error may have
// data of the portal, so only its code is kept.
func unknown(err error) Answer { return Answer{Unknown, codeOf(err)} }

func codeOf(err error) string {
	var e *bitrix.Error
	if errors.As(err, &e) && e.Code != "" {
		return "error " + e.Code
	}
	return "no usable answer"
}

// noLists is the answer to a question about lists without the permission.
var noLists = Answer{Unknown, "the credentials have no permission lists"}

// ownersOfRows: the documentation shows a list, the server's source takes one owner.
func ownersOfRows(ctx context.Context, p *prober) Answer {
	for _, id := range p.deals {
		row := map[string]any{"productName": "Probe", "price": 0.1, "quantity": 1}
		if err := p.write(ctx, "crm.item.productrow.set", map[string]any{"ownerType": "D", "ownerId": id, "productRows": []any{row}}, nil); err != nil {
			return unknown(err)
		}
	}
	const method = "crm.item.productrow.list"
	rows, err := bitrix.DecodeRows(method, p.Client.Do(ctx, bitrix.Call{Method: method, Params: map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": p.deals}}})[0], "productRows")
	if err != nil {
		return yesIf(false, "%s", codeOf(err))
	}
	return yesIf(len(rows) == 2, "%d of 2 rows", len(rows))
}

// addElement adds an element to the list of the probe.
func (p *prober) addElement(ctx context.Context, code string, number int) (int, error) {
	var id bitrix.ID
	err := p.write(ctx, "lists.element.add", p.inList(map[string]any{"ELEMENT_CODE": code, "FIELDS": map[string]any{"NAME": title, p.number: number}}), &id)
	return int(id), err
}

// elements reads the elements of the list that a filter finds.
func (p *prober) elements(ctx context.Context, filter map[string]any) ([]map[string]any, error) {
	const method = "lists.element.get"
	rows, err := bitrix.DecodeRows(method, p.Client.Do(ctx, bitrix.Call{Method: method, Params: p.inList(map[string]any{"FILTER": filter, "SELECT": []string{"ID", "DATE_CREATE", p.number}})})[0], "")
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for _, raw := range rows {
		row := map[string]any{}
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func ownersOfElements(ctx context.Context, p *prober) Answer {
	if !p.hasLists() {
		return noLists
	}
	for i := range 2 {
		if _, err := p.addElement(ctx, fmt.Sprintf("owner-%d", i), 1001+i); err != nil {
			return unknown(err)
		}
	}
	rows, err := p.elements(ctx, map[string]any{"=" + p.number: []int{1001, 1002}})
	if err != nil {
		return yesIf(false, "%s", codeOf(err))
	}
	return yesIf(len(rows) == 2, "%d of 2 elements", len(rows))
}

// references reads the two deals in two pages of one: the second page starts after the id
// that the first one has.
func references(ctx context.Context, p *prober) Answer {
	page := func(after string) string {
		return "crm.item.list?entityTypeId=" + strconv.Itoa(deals) + "&select[]=id&filter[%3DoriginId]=" + p.run + "&order[id]=ASC" + after
	}
	a := p.Client.Do(ctx, bitrix.Call{Method: "batch", Params: map[string]any{"cmd": map[string]any{
		"a": page(""), "b": page("&filter[%3Eid]=$result[a][items][0][id]"),
	}}})[0]
	var batch struct {
		Result map[string]struct{ Items []struct{ ID bitrix.ID } }
	}
	if err := result(a, "batch", &batch); err != nil {
		return unknown(err)
	}
	first, second := batch.Result["a"].Items, batch.Result["b"].Items
	if len(first) != 2 {
		return Answer{Unknown, fmt.Sprintf("the first page has %d of 2 deals", len(first))}
	}
	return yesIf(len(second) == 1 && second[0].ID == first[1].ID, "the second page has %d of 1 deals", len(second))
}

func codeTwice(ctx context.Context, p *prober) Answer {
	if !p.hasLists() {
		return noLists
	}
	if _, err := p.addElement(ctx, "twice", 1); err != nil {
		return unknown(err)
	}
	_, err := p.addElement(ctx, "twice", 2)
	if err == nil {
		return yesIf(false, "a second element was added")
	}
	return yesIf(bitrix.IsCode(err, "ERROR_ELEMENT_ALREADY_EXISTS"), "%s", codeOf(err))
}

func codeChecked(ctx context.Context, p *prober) Answer {
	if !p.hasLists() {
		return noLists
	}
	id, err := p.addElement(ctx, "checked", 1)
	if err != nil {
		return unknown(err)
	}
	err = p.write(ctx, "lists.element.update", p.inList(map[string]any{"ELEMENT_ID": id, "ELEMENT_CODE": "another", "FIELDS": map[string]any{"NAME": title, p.number: 1}}), nil)
	if err == nil {
		return yesIf(false, "the element was written")
	}
	return yesIf(bitrix.IsCode(err, "ERROR_ELEMENT_NOT_FOUND"), "%s", codeOf(err))
}

func updateClears(ctx context.Context, p *prober) Answer {
	if !p.hasLists() {
		return noLists
	}
	id, err := p.addElement(ctx, "cleared", 5)
	if err != nil {
		return unknown(err)
	}
	if err := p.write(ctx, "lists.element.update", p.inList(map[string]any{"ELEMENT_ID": id, "ELEMENT_CODE": "cleared", "FIELDS": map[string]any{"NAME": title}}), nil); err != nil {
		return unknown(err)
	}
	rows, err := p.elements(ctx, map[string]any{"ID": id})
	if err != nil || len(rows) != 1 {
		return unknown(err)
	}
	values, _ := rows[0][p.number].(map[string]any)
	return yesIf(len(values) == 0, "%d values are left", len(values))
}

func idsAreNumbers(ctx context.Context, p *prober) Answer {
	var answer struct {
		Item struct{ ID json.RawMessage }
	}
	if err := p.read(ctx, "crm.item.get", map[string]any{"entityTypeId": deals, "id": p.deals[0]}, &answer); err != nil {
		return unknown(err)
	}
	if len(answer.Item.ID) == 0 {
		return Answer{Unknown, "the item has no id"}
	}
	isText := answer.Item.ID[0] == '"'
	return yesIf(!isText, "%s", map[bool]string{true: "a text", false: "a number"}[isText])
}

// longNumbers reads the row with the price 0.1, which has no exact double.
func longNumbers(ctx context.Context, p *prober) Answer {
	const method = "crm.item.productrow.list"
	rows, err := bitrix.DecodeRows(method, p.Client.Do(ctx, bitrix.Call{Method: method, Params: map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": p.deals[0]}}})[0], "productRows")
	if err != nil || len(rows) != 1 {
		return unknown(err)
	}
	return yesIf(p.Client.LongNumbers(), "the price 0.1 of a row")
}

var slashes = regexp.MustCompile(`^(\d\d)/(\d\d)/\d{4}`)

// dayFirst reads when an element was made. On the 5th of May nothing shows the order.
func dayFirst(ctx context.Context, p *prober) Answer {
	if !p.hasLists() {
		return noLists
	}
	id, err := p.addElement(ctx, "date", 1)
	if err != nil {
		return unknown(err)
	}
	rows, err := p.elements(ctx, map[string]any{"ID": id})
	if err != nil || len(rows) != 1 {
		return unknown(err)
	}
	at, err := p.Client.ServerTime(ctx)
	if err != nil {
		return unknown(err)
	}
	text, _ := rows[0]["DATE_CREATE"].(string)
	form := regexp.MustCompile(`\d`).ReplaceAllString(text, "0")
	m := slashes.FindStringSubmatch(text)
	switch {
	case m == nil:
		return yesIf(false, "%s", form)
	case at.Day() == int(at.Month()):
		return Answer{Unknown, form + ": day and month are equal today, ask on another day"}
	}
	return yesIf(m[1] == fmt.Sprintf("%02d", at.Day()), "%s", form)
}

// operating reads what short commands count.
func operating(ctx context.Context, p *prober) Answer {
	const commands = 10
	cmd := map[string]any{}
	for i := range commands {
		cmd["c"+strconv.Itoa(i)] = "crm.item.list?entityTypeId=" + strconv.Itoa(deals) + "&select[]=id&filter[%3DoriginId]=" + p.run
	}
	var batch struct {
		Time map[string]struct {
			Duration  float64
			Operating *float64
		} `json:"result_time"`
	}
	if err := result(p.Client.Do(ctx, bitrix.Call{Method: "batch", Params: map[string]any{"cmd": cmd}})[0], "batch", &batch); err != nil {
		return unknown(err)
	}
	total, short := 0.0, 0
	for _, t := range batch.Time {
		if t.Operating == nil {
			return Answer{Unknown, "the answers have no operating time"}
		}
		total = max(total, *t.Operating)
		if t.Duration < 0.1 {
			short++
		}
	}
	if short < commands {
		return Answer{Unknown, fmt.Sprintf("%d of %d commands were shorter than 0.1 s", short, commands)}
	}
	return yesIf(total > 0, "%d commands counted %.3f s", commands, total)
}

// feature asks for a feature of the plan.
func feature(code string) func(context.Context, *prober) Answer {
	return func(ctx context.Context, p *prober) Answer {
		has, err := p.Client.Feature(ctx, code)
		if err != nil {
			return unknown(err)
		}
		return yesIf(has, "feature.get")
	}
}

// change is a change of a deal whose events the probe counts. made is false if the
// change is not possible on this portal.
type change struct {
	name string
	make func(ctx context.Context, p *prober) (made bool, err error)
}

var changes = []change{
	{"add", func(ctx context.Context, p *prober) (bool, error) {
		id, err := p.addDeal(ctx)
		p.changed = id
		return true, err
	}},
	{"update", func(ctx context.Context, p *prober) (bool, error) {
		return true, p.update(ctx, map[string]any{"comments": "changed"})
	}},
	{"unchanged", func(ctx context.Context, p *prober) (bool, error) {
		return true, p.update(ctx, map[string]any{"comments": "changed"})
	}},
	{"rows", func(ctx context.Context, p *prober) (bool, error) {
		row := map[string]any{"productName": "Probe", "price": 7, "quantity": 2}
		return true, p.write(ctx, "crm.item.productrow.set", map[string]any{"ownerType": "D", "ownerId": p.changed, "productRows": []any{row}}, nil)
	}},
	{"move", moveDeal},
	{"delete", func(ctx context.Context, p *prober) (bool, error) {
		return true, p.write(ctx, "crm.item.delete", map[string]any{"entityTypeId": deals, "id": p.changed}, nil)
	}},
}

func (p *prober) update(ctx context.Context, fields map[string]any) error {
	return p.write(ctx, "crm.item.update", map[string]any{"entityTypeId": deals, "id": p.changed, "fields": fields}, nil)
}

// moveDeal moves the deal to another pipeline, if there is one.
func moveDeal(ctx context.Context, p *prober) (bool, error) {
	var answer struct {
		Categories []struct {
			ID      bitrix.ID
			Default string `json:"isDefault"`
		}
	}
	if err := p.read(ctx, "crm.category.list", map[string]any{"entityTypeId": deals}, &answer); err != nil {
		return false, err
	}
	for _, c := range answer.Categories {
		if c.Default != "Y" {
			return true, p.update(ctx, map[string]any{"categoryId": int(c.ID)})
		}
	}
	return false, nil
}

// events makes each change and looks which events arrive. If none arrives after the first one,
// nothing is known: nothing here receives the events of the portal.
func (p *prober) events(ctx context.Context) error {
	if p.Events == nil {
		p.Say("not asked: no database has events")
		return nil
	}
	for i, c := range changes {
		since := p.Now()
		made, err := c.make(ctx, p)
		if err != nil {
			return err
		}
		if !made {
			continue
		}
		if i == 0 {
			if arrived, err := p.firstEvent(ctx, since); err != nil || !arrived {
				return err
			}
		}
		if err := wakeup.Sleep(ctx, p.Quiet); err != nil {
			return err
		}
		if p.report.Events[c.name], err = p.Events(ctx, p.changed, since); err != nil {
			return err
		}
	}
	return nil
}

// firstEvent waits for an event of the deal that was added.
func (p *prober) firstEvent(ctx context.Context, since time.Time) (arrived bool, err error) {
	end := time.NewTimer(p.Wait)
	defer end.Stop()
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for {
		codes, err := p.Events(ctx, p.changed, since)
		if err != nil || len(codes) > 0 {
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-end.C:
			p.Say(fmt.Sprintf("not asked: no event of the deal arrived within %s, so serve must run, and the portal must send its events", p.Wait))
			return false, nil
		case <-look.C:
		}
	}
}
