package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ledger"
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
}

// pruneAtOnce is how many elements are read or deleted before what is known of them is stored.
const pruneAtOnce = 1000

// FindPrune reads the elements of a mark from the portal.
func (s *Service) FindPrune(ctx context.Context, m ledger.Mark, listType string) (*Prune, error) {
	p := &Prune{Mark: m, ListType: listType}
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

// DoPrune deletes the elements, and forgets those that are gone. What it has deleted before an
// error is forgotten too, so that it can be repeated, and counts as deleted.
func (s *Service) DoPrune(ctx context.Context, p *Prune) (deleted int, err error) {
	gone := slices.Clone(p.Gone)
	for ids := range slices.Chunk(p.IDs, 50) {
		calls := make([]bitrix.Call, len(ids))
		for i, id := range ids {
			calls[i] = p.call("lists.element.delete", id)
			calls[i].Write, calls[i].Unordered = true, true
		}
		var failed error
		for i, a := range s.Portal(p.Mark.Portal).Later().Do(ctx, calls...) {
			switch {
			case a.Err != nil:
				failed = fmt.Errorf("delete element %d: %w", ids[i], a.Err)
			case string(a.Result) != "true":
				failed = fmt.Errorf("delete element %d: the portal answers %.100s", ids[i], a.Result)
			default:
				gone = append(gone, ids[i])
				deleted++
			}
		}
		if err := s.keeper.ledger.Forget(context.WithoutCancel(ctx), p.Mark.Portal, p.Mark.Place, gone); err != nil {
			return deleted, err
		}
		if gone = nil; failed != nil {
			return deleted, failed
		}
	}
	return deleted, s.keeper.ledger.Forget(ctx, p.Mark.Portal, p.Mark.Place, gone)
}

// Prunable returns an error for a mark whose records prune cannot delete.
func (s *Service) Prunable(m ledger.Mark) error {
	switch {
	case s.rules.Current().Has(m):
		return fmt.Errorf("rule %s runs in portal %s and has them", m.Rule, m.Portal)
	case m.Kind == engine.MarkItems:
		return fmt.Errorf("items have no code that shows that a rule has made them: delete them in the portal, or run b24rules release")
	case m.Kind != engine.MarkElements:
		return fmt.Errorf("the rule has only updated them")
	}
	return nil
}
