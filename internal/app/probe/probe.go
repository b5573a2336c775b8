// Package probe finds out what a real portal does where its documentation is silent or
// contradicts itself. It makes up to three deals and a list on the portal, asks its questions, and
// removes what it has made.
package probe

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

const (
	// deals is the entityTypeId of deals.
	deals = 2
	// mark is the external source (originatorId) of the deals of a probe.
	mark = "b24rules-probe"
	// listMark is the start of the symbolic code of the list of a probe.
	listMark = "b24rules_probe_"
	// title is the title of what a probe makes.
	title = "b24rules probe, removed in a minute"
	// cleaning is how long the removal may take after an interruption.
	cleaning = time.Minute
)

// Options are what a probe needs besides a client that may write.
type Options struct {
	Client *bitrix.Client
	// Events returns the codes of the events of a deal that arrived at a time or later.
	// Nil means that no database has events.
	Events func(ctx context.Context, deal int, since time.Time) ([]string, error)
	// Wait is how long the first event may take, and Quiet how long the probe waits after
	// each further change. 0 means 30 and 5 seconds.
	Wait, Quiet time.Duration
	// Now is the clock.
	Now func() time.Time
	// Say is called with the progress.
	Say func(text string)
}

// prober is one probe.
type prober struct {
	Options
	run    string // marks what this probe makes
	report *Report
	deals  []int
	list   int
	number string // the name of a number property of the list
	// changed is the deal whose events the probe counts.
	changed int
}

// Run makes a probe. What it has made is removed before it returns, also when ctx ends;
// what an interrupted probe has left is removed first.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	p := &prober{Options: o, run: strings.ToLower(rand.Text())[:12]}
	if p.Wait == 0 {
		p.Wait = 30 * time.Second
	}
	if p.Quiet == 0 {
		p.Quiet = 5 * time.Second
	}
	p.report = &Report{Version: Version, Date: o.Now().Format(time.DateOnly), Answers: map[string]Answer{}, Events: map[string][]string{}}
	if err := p.describe(ctx); err != nil {
		return nil, err
	}
	if removed, err := Clean(ctx, o.Client); err != nil {
		return nil, fmt.Errorf("what an earlier probe has left cannot be removed: %w", err)
	} else if len(removed) > 0 {
		p.Say("removed what an interrupted probe has left: " + strings.Join(removed, ", "))
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
		defer cancel()
		if failed := p.remove(ending); failed != nil {
			err = errors.Join(err, fmt.Errorf("what the probe has made is still on the portal, run the command again to remove it: %w", failed))
		}
	}()
	if err := p.make(ctx); err != nil {
		return nil, err
	}
	for _, q := range questions {
		p.Say(q.Text)
		p.report.Answers[q.Name] = q.ask(ctx, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	p.Say("which events follow which change")
	if err := p.events(ctx); err != nil {
		return nil, err
	}
	return p.report, nil
}

// describe reads what needs nothing of ours.
func (p *prober) describe(ctx context.Context) error {
	at, err := p.Client.ServerTime(ctx)
	if err != nil {
		return err
	}
	p.report.Offset = at.Format("-07:00")
	if err := p.read(ctx, "scope", nil, &p.report.Scopes); err != nil {
		return err
	}
	slices.Sort(p.report.Scopes)
	if !slices.Contains(p.report.Scopes, "crm") {
		return errors.New("the credentials have no permission for the CRM: tick crm in the form of the webhook or the application")
	}
	var currencies []struct {
		Code string `json:"CURRENCY"`
		Base string `json:"BASE"`
	}
	if err := p.read(ctx, "crm.currency.list", nil, &currencies); err != nil {
		return err
	}
	for _, c := range currencies {
		if c.Base == "Y" {
			p.report.Currency = c.Code
		}
	}
	return nil
}

// read calls a method that reads.
func (p *prober) read(ctx context.Context, method string, params map[string]any, into any) error {
	return result(p.Client.Do(ctx, bitrix.Call{Method: method, Params: params})[0], method, into)
}

// write calls a method that writes. into may be nil.
func (p *prober) write(ctx context.Context, method string, params map[string]any, into any) error {
	return result(p.Client.Do(ctx, bitrix.Call{Method: method, Params: params, Write: true})[0], method, into)
}

func result(a bitrix.Answer, method string, into any) error {
	if a.Err != nil || into == nil {
		return a.Err
	}
	if err := json.Unmarshal(a.Result, into); err != nil {
		return fmt.Errorf("%s: the answer is not what the documentation says: %w", method, err)
	}
	return nil
}

// hasLists reports whether the credentials may use lists.
func (p *prober) hasLists() bool { return slices.Contains(p.report.Scopes, "lists") }

// make makes two deals with a product row each, and a list with a property.
func (p *prober) make(ctx context.Context) error {
	for range 2 {
		id, err := p.addDeal(ctx)
		if err != nil {
			return err
		}
		p.deals = append(p.deals, id)
	}
	if !p.hasLists() {
		return nil
	}
	var list bitrix.ID
	code := listMark + p.run
	if err := p.write(ctx, "lists.add", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_CODE": code, "FIELDS": map[string]any{"NAME": title}}, &list); err != nil {
		return fmt.Errorf("a list cannot be made, although the credentials have the permission lists: %w", err)
	}
	p.list = int(list)
	return p.write(ctx, "lists.field.add", p.inList(map[string]any{"FIELDS": map[string]any{"NAME": "Number", "TYPE": "N", "CODE": "NUMBER"}}), &p.number)
}

// addDeal makes a deal with the mark.
func (p *prober) addDeal(ctx context.Context) (int, error) {
	var added struct {
		Item struct{ ID bitrix.ID }
	}
	fields := map[string]any{"title": title, "originatorId": mark, "originId": p.run}
	err := p.write(ctx, "crm.item.add", map[string]any{"entityTypeId": deals, "fields": fields}, &added)
	return int(added.Item.ID), err
}

// inList adds the list to parameters.
func (p *prober) inList(params map[string]any) map[string]any {
	params["IBLOCK_TYPE_ID"], params["IBLOCK_ID"] = "lists", p.list
	return params
}

// remove removes what the probe has made, even if only a part of it was made.
func (p *prober) remove(ctx context.Context) error {
	_, err := Clean(ctx, p.Client)
	return err
}

// Leftovers names what interrupted probes have left on a portal.
func Leftovers(ctx context.Context, c *bitrix.Client) ([]string, error) {
	found, err := find(ctx, c)
	return found.names(), err
}

// Clean removes what interrupted probes have left on a portal, and names it. It touches only
// deals and lists with the marks of a probe.
func Clean(ctx context.Context, c *bitrix.Client) ([]string, error) {
	found, err := find(ctx, c)
	if err != nil {
		return nil, err
	}
	p := &prober{Options: Options{Client: c}}
	var errs []error
	for _, id := range found.deals {
		errs = append(errs, p.write(ctx, "crm.item.delete", map[string]any{"entityTypeId": deals, "id": id}, nil))
	}
	for _, id := range found.lists {
		errs = append(errs, p.write(ctx, "lists.delete", map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": id}, nil))
	}
	return found.names(), errors.Join(errs...)
}

// leftovers are deals and lists of a probe.
type leftovers struct{ deals, lists []int }

func (l leftovers) names() []string {
	var out []string
	for _, id := range l.deals {
		out = append(out, fmt.Sprintf("deal %d", id))
	}
	for _, id := range l.lists {
		out = append(out, fmt.Sprintf("list %d", id))
	}
	return out
}

// find looks for the marks of a probe. It does not trust filters: each row must have the mark.
func find(ctx context.Context, c *bitrix.Client) (leftovers, error) {
	var out leftovers
	rows, err := c.List(ctx, bitrix.Call{Method: "crm.item.list", Params: map[string]any{
		"entityTypeId": deals, "filter": map[string]any{"=originatorId": mark}, "select": []string{"id", "originatorId"},
	}}, "items")
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		var d struct {
			ID           bitrix.ID
			OriginatorID string `json:"originatorId"`
		}
		if err := json.Unmarshal(row, &d); err != nil {
			return out, fmt.Errorf("crm.item.list: the answer is not what the documentation says: %w", err)
		}
		if d.OriginatorID == mark {
			out.deals = append(out.deals, int(d.ID))
		}
	}
	rows, err = c.List(ctx, bitrix.Call{Method: "lists.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists"}}, "")
	if bitrix.IsCode(err, "insufficient_scope") || bitrix.IsCode(err, "ACCESS_DENIED") {
		return out, nil // no probe can have made a list
	}
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		var l struct {
			ID   bitrix.ID
			Code string `json:"CODE"`
		}
		if err := json.Unmarshal(row, &l); err != nil {
			return out, fmt.Errorf("lists.get: the answer is not what the documentation says: %w", err)
		}
		if strings.HasPrefix(l.Code, listMark) {
			out.lists = append(out.lists, int(l.ID))
		}
	}
	return out, nil
}
