package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/wakeup"
)

const (
	ticksDeals = 100
	ticksTime  = 60 * time.Second
	// tickPause and rowsPause are the pauses between two ticks, and between two
	// changes of the rows of a deal. The rows of each deal change every 3 seconds.
	tickPause = 20 * time.Millisecond
	rowsPause = 30 * time.Millisecond
)

// The report of ticks is written between these marks.
const (
	ticksBegin = "<!-- make bench-ticks writes from here -->"
	ticksEnd   = "<!-- to here, the ticks -->"
)

// ticks measures what people lose who write into a list while the engine updates its
// elements: the rows of all deals change all the time, on a portal with the plan
// enterprise. It writes the report into file, unless file is "".
func ticks(ctx context.Context, b *bench, file string) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s, %s, %d cores shared by the engine, the portal and this program, each line for %s with %d elements.\n\n"+
		"| portal | ticks | updates | ticks in the time between read and update | put back | longest absence | lost |\n|---|---:|---:|---:|---:|---:|---:|\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), ticksTime, ticksDeals*rowsPerDeal)
	for _, l := range []emulator.Latency{{Request: latency.Request}, latency} {
		t, err := ticksAt(ctx, b, l)
		if err != nil {
			return err
		}
		found := t.putBack + t.lost
		fmt.Fprintf(&out, "| %s for a request and %s for a command | %d | %d | %d (%s) | %d | %s | %d (%s) |\n",
			l.Request, l.Command, t.ticks, t.updates, found, percent(found, t.ticks), t.putBack, seconds(t.longest), t.lost, percent(t.lost, t.ticks))
	}
	b.say("%s", out.String())
	if file == "" {
		return nil
	}
	return replaceBetween(file, ticksBegin, ticksEnd, out.String())
}

func percent(n, of int) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(of)) }

func ticksAt(ctx context.Context, b *bench, l emulator.Latency) (tickCounts, error) {
	cfg := emulator.Config{Latency: l, Plan: emulator.PlanEnterprise}
	s, err := newSiteOn(ctx, "main", cfg, ticksDeals, rowsPerDeal)
	if err != nil {
		return tickCounts{}, err
	}
	defer s.close()
	e, err := b.startEngine(ctx, s)
	if err != nil {
		return tickCounts{}, err
	}
	defer func() { _ = e.stop() }()
	if _, _, err := b.measure(ctx, e, s, s.deals); err != nil { // fills the list
		return tickCounts{}, err
	}
	before := len(s.portal.History())
	busy, stop := context.WithTimeout(ctx, ticksTime)
	defer stop()
	var people sync.WaitGroup
	var errs [2]error
	events := 0
	people.Go(func() {
		events, errs[0] = s.changeRows(busy, e)
	})
	people.Go(func() { errs[1] = s.tick(busy) })
	people.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return tickCounts{}, err
	}
	if _, err := e.waitProcessed(ctx, s.name, len(s.deals)+events); err != nil {
		return tickCounts{}, err
	}
	t, err := countTicks(s.portal.History()[before:], s.ids.Properties["COMMENT"])
	if err == nil && (t.ticks == 0 || t.updates == 0) {
		err = fmt.Errorf("%d ticks and %d updates show nothing", t.ticks, t.updates)
	}
	return t, err
}

// changeRows changes the rows of one deal after the other until ctx ends, and returns
// the number of events.
func (s *site) changeRows(ctx context.Context, e *engine) (events int, err error) {
	for i := 0; ctx.Err() == nil; i++ {
		deal := s.deals[i%len(s.deals)]
		call := rowsCall("D", deal+i/len(s.deals), rowsPerDeal)
		call.Params["ownerId"] = deal
		if _, err := s.person(call.Method, call.Params); err != nil {
			return events, err
		}
		if err := e.postUpdates(context.WithoutCancel(ctx), s.name, []int{deal}, 1); err != nil {
			return events, err
		}
		events++
		_ = wakeup.Sleep(ctx, rowsPause)
	}
	return events, nil
}

// tick writes a number into one element after the other, as a person does in the form
// of the list, until ctx ends. Each number is greater than those before.
func (s *site) tick(ctx context.Context) error {
	list := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": s.ids.ShipmentList}
	elements := len(s.deals) * rowsPerDeal
	for i := 1; ctx.Err() == nil; i++ {
		list["ELEMENT_ID"] = 1 + i*7%elements
		raw, err := s.person("lists.element.get", list)
		if err != nil {
			return err
		}
		var found []map[string]any
		if err := json.Unmarshal(raw, &found); err != nil || len(found) != 1 {
			return fmt.Errorf("element %v is read as %s: %w", list["ELEMENT_ID"], raw, err)
		}
		fields := map[string]any{"NAME": found[0]["NAME"]}
		for name, v := range found[0] {
			if strings.HasPrefix(name, "PROPERTY_") {
				fields[name] = v
			}
		}
		fields[s.ids.Properties["COMMENT"]] = strconv.Itoa(i)
		update := map[string]any{
			"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": s.ids.ShipmentList, "ELEMENT_ID": list["ELEMENT_ID"],
			"ELEMENT_CODE": found[0]["CODE"], "FIELDS": fields,
		}
		if _, err := s.person("lists.element.update", update); err != nil {
			return err
		}
		_ = wakeup.Sleep(ctx, tickPause)
	}
	return nil
}

// person does what a person does in the portal, and returns the result.
func (s *site) person(method string, params map[string]any) (json.RawMessage, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	resp, err := http.Post(s.base+"/_emulator/person/"+method, "application/json", bytes.NewReader(body)) //nolint:noctx // on loopback, and answered at once
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %s: %w", method, resp.Status, err)
	}
	return answer.Result, nil
}

// tickCounts counts what happened to the ticks.
type tickCounts struct {
	ticks, updates, putBack, lost int
	longest                       time.Duration // from the update that overwrites a tick to the one that puts it back
}

// countTicks reads the history of a portal: a tick is a number greater than those
// before it in its element, and an update of the engine has no greater one.
func countTicks(history []emulator.Change, column string) (t tickCounts, err error) {
	type state struct {
		number int
		absent time.Time // when an update overwrote the number; zero means it is there
	}
	elements := map[int64]*state{}
	for _, change := range history {
		if change.IBlockID == 0 {
			continue
		}
		number, err := numberIn(change.Values, column)
		if err != nil {
			return t, err
		}
		e := elements[change.ID]
		if e == nil {
			e = &state{}
			elements[change.ID] = e
		}
		switch {
		case number > e.number: // a tick
			if !e.absent.IsZero() {
				t.lost++
			}
			t.ticks++
			*e = state{number: number}
			continue
		case number < e.number && e.absent.IsZero():
			e.absent = change.At
		case number == e.number && !e.absent.IsZero():
			t.putBack++
			t.longest = max(t.longest, change.At.Sub(e.absent))
			e.absent = time.Time{}
		}
		t.updates++
	}
	for _, e := range elements {
		if !e.absent.IsZero() {
			t.lost++
		}
	}
	return t, nil
}

// numberIn is the number in a column of an element, 0 if it is empty.
func numberIn(values json.RawMessage, column string) (int, error) {
	var element map[string]json.RawMessage
	if err := json.Unmarshal(values, &element); err != nil {
		return 0, err
	}
	var stored map[string]string
	if json.Unmarshal(element[column], &stored) != nil {
		return 0, nil // an empty list
	}
	for _, v := range stored {
		return strconv.Atoi(v)
	}
	return 0, nil
}
