package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/ledger"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Prune are elements of a list that a rule has made and no rule has any more.
type Prune struct {
	Mark ledger.Mark
	// ListType is the type of the list.
	ListType string
	// IDs are elements that are still there as the rule has made them. Gone are those that
	// the list does not have any more, Foreign those whose code is not that of a rule.
	IDs, Gone, Foreign []int64
	// Kept are how many a rule that runs has too.
	Kept int

	served bool // serve runs
}

// pruneAtOnce is how many elements are read or deleted before what is known of them is stored.
const pruneAtOnce = 1000

// FindPrune reads the elements of a mark from the portal.
func (s *Service) FindPrune(ctx context.Context, m ledger.Mark, listType string) (*Prune, error) {
	served, err := s.queue.Served(ctx)
	if err != nil {
		return nil, err
	}
	p := &Prune{Mark: m, ListType: listType, served: served}
	if err := s.prunable(ctx, p); err != nil {
		return nil, err
	}
	kept, err := s.madeByOthers(ctx, m)
	if err != nil {
		return nil, err
	}
	for after := int64(0); ; {
		page, err := s.keeper.ledger.Page(ctx, m, after, pruneAtOnce)
		if err != nil || len(page) == 0 {
			return p, err
		}
		var ids []int64
		for _, w := range page {
			if after = w.ID; kept[w.ID] {
				p.Kept++
			} else {
				ids = append(ids, w.ID)
			}
		}
		if err := s.readPruned(ctx, p, ids); err != nil {
			return nil, err
		}
	}
}

// madeByOthers returns the records of the mark's place that rules that run have made.
func (s *Service) madeByOthers(ctx context.Context, m ledger.Mark) (map[int64]bool, error) {
	all, err := s.keeper.ledger.Marks(ctx, m.Portal)
	if err != nil {
		return nil, err
	}
	out := map[int64]bool{}
	for _, other := range all {
		if other.Place != m.Place || other.ID == m.ID || !s.rules.Current().Has(other) {
			continue
		}
		for after := int64(0); ; {
			page, err := s.keeper.ledger.Page(ctx, other, after, pruneAtOnce)
			if err != nil {
				return nil, err
			}
			if len(page) == 0 {
				break
			}
			for _, w := range page {
				out[w.ID], after = true, w.ID
			}
		}
	}
	return out, nil
}

// readPruned divides elements by what the list has of them.
func (s *Service) readPruned(ctx context.Context, p *Prune, ids []int64) error {
	calls := make([]bitrix.Call, len(ids))
	for i, id := range ids {
		calls[i] = p.call("lists.element.get", id)
	}
	for i, a := range s.Portal(p.Mark.Portal).Later().Do(ctx, calls...) {
		rows, err := bitrix.DecodeRows(calls[i].Method, a, "")
		if err != nil {
			return fmt.Errorf("read element %d: %w", ids[i], err)
		}
		var row struct{ ID, CODE any }
		switch {
		case len(rows) == 0:
			p.Gone = append(p.Gone, ids[i])
			continue
		case len(rows) > 1:
			return fmt.Errorf("read element %d: the portal answers with %d elements", ids[i], len(rows))
		}
		if err := json.Unmarshal(rows[0], &row); err != nil || fmt.Sprint(row.ID) != strconv.FormatInt(ids[i], 10) {
			return fmt.Errorf("read element %d: the portal answers with another element", ids[i])
		}
		if code, _ := row.CODE.(string); actions.MadeElement(code) {
			p.IDs = append(p.IDs, ids[i])
		} else {
			p.Foreign = append(p.Foreign, ids[i])
		}
	}
	return nil
}

func (p *Prune) call(method string, id int64) bitrix.Call {
	list := strings.TrimPrefix(p.Mark.Place, "list:")
	return bitrix.Call{Method: method, Params: map[string]any{"IBLOCK_TYPE_ID": p.ListType, "IBLOCK_ID": list, "ELEMENT_ID": strconv.FormatInt(id, 10)}}
}

// DoPrune deletes the elements, and forgets those that are gone. act gets their number in the same
// transactions. What it has deleted before an error is forgotten too, so that it can be repeated, and
// counts as deleted. Before each request it looks whether no rule on disk has them again.
func (s *Service) DoPrune(ctx context.Context, p *Prune, act *audit.Act) (deleted int, err error) {
	forget := func(ctx context.Context, deleted int, gone []int64) error {
		return act.Do(ctx, deleted, func(ctx context.Context, t store.Tx) error {
			return ledger.Forget(ctx, t, p.Mark.Portal, p.Mark.Place, gone)
		})
	}
	for ids := range slices.Chunk(p.IDs, 50) {
		if err := s.loadWritten(ctx); err != nil {
			return deleted, err
		}
		if err := s.prunable(ctx, p); err != nil {
			return deleted, err
		}
		calls := make([]bitrix.Call, len(ids))
		for i, id := range ids {
			calls[i] = p.call("lists.element.delete", id)
			calls[i].Write, calls[i].Unordered = true, true
		}
		var failed error
		var gone []int64
		for i, a := range s.Portal(p.Mark.Portal).Later().Do(ctx, calls...) {
			switch {
			case a.Err != nil:
				failed = fmt.Errorf("delete element %d: %w", ids[i], a.Err)
			case string(a.Result) != "true":
				failed = fmt.Errorf("delete element %d: the portal answers %.100s", ids[i], a.Result)
			default:
				gone = append(gone, ids[i])
			}
		}
		if err := forget(context.WithoutCancel(ctx), len(gone), gone); err != nil {
			return deleted, err
		}
		if deleted += len(gone); failed != nil {
			return deleted, failed
		}
	}
	return deleted, forget(ctx, 0, p.Gone)
}

// loadWritten loads the rules again, and waits for files that are being written.
func (s *Service) loadWritten(ctx context.Context) error {
	for {
		_, now, err := s.rules.Load()
		if err != nil || !now.Changing {
			return err
		}
		if err := wakeup.Sleep(ctx, fleet.QuietTime); err != nil {
			return err
		}
	}
}

// prunable returns an error for records that prune cannot delete.
func (s *Service) prunable(ctx context.Context, p *Prune) error {
	m := p.Mark
	switch {
	case s.rules.Current().Has(m):
		return fmt.Errorf("rule %s runs in portal %s and has them", m.Rule, m.Portal)
	case m.Kind == engine.MarkItems:
		return fmt.Errorf("items have no code that shows that a rule has made them: delete them in the portal, or run b24rules release")
	case m.Kind != engine.MarkElements:
		return fmt.Errorf("the rule has only updated them")
	case !p.served:
		return nil
	}
	runs, err := s.runsStill(ctx, m)
	if err == nil && runs {
		err = fmt.Errorf("rule %s still runs in portal %s and has them, because serve does not run what is on disk: b24rules status says why", m.Rule, m.Portal)
	}
	return err
}

// runsStill reports whether a version that serve runs has the records of a mark, though another
// version of its rule set is on disk.
func (s *Service) runsStill(ctx context.Context, m ledger.Mark) (bool, error) {
	before, err := s.keeper.store.Before(ctx)
	if err != nil {
		return false, err
	}
	now := s.rules.Current()
	maps.DeleteFunc(before[m.Portal], func(set string, _ fleet.RuleText) bool { // its file is missing
		return !slices.ContainsFunc(now.Instances(m.Portal), func(i *fleet.Instance) bool { return i.Set.Name == set })
	})
	last, _ := fleet.Last(before, s.config.Load().Portals, s.rules.Actions)
	return last.Has(m), nil
}
