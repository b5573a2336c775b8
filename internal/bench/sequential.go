package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

// sequential is a client for comparison. It does the work of the rule for one deal after
// another and sends one request after another, like a script behind a webhook. It reads
// the rows, reads the elements, and writes the differences in one batch. It counts its
// requests and waits, so it never exceeds the limit.
type sequential struct {
	site     *site
	sent     int64
	level    float64
	at       time.Time
	waited   time.Duration
	property func(code string) string
}

func newSequential(s *site) *sequential {
	return &sequential{site: s, property: func(code string) string { return s.ids.Properties[code] }}
}

// call sends one request as soon as the limit allows it.
func (q *sequential) call(ctx context.Context, method string, params map[string]any, result any) error {
	if wait := q.room(time.Now()); wait > 0 {
		q.waited += wait
		if err := wakeup.Sleep(ctx, wait); err != nil {
			return err
		}
		q.room(time.Now())
	}
	q.level++
	q.sent++
	return q.post(ctx, method, params, &struct {
		Result any `json:"result"`
	}{result})
}

// add is the command that adds the element of a product row.
func (q *sequential) add(deal, n int, name string, price, quantity float64) string {
	p := url.Values{"IBLOCK_TYPE_ID": {"lists"}, "IBLOCK_ID": {strconv.Itoa(q.site.ids.ShipmentList)}}
	p.Set("ELEMENT_CODE", fmt.Sprintf("sequential-%d-%d", deal, n))
	p.Set("FIELDS[NAME]", name)
	p.Set("FIELDS["+q.property("DEAL")+"]", strconv.Itoa(deal))
	p.Set("FIELDS["+q.property("QUANTITY")+"]", fmt.Sprint(quantity))
	p.Set("FIELDS["+q.property("SUM")+"]", fmt.Sprintf("%.2f", price*quantity))
	return "lists.element.add?" + p.Encode()
}

// post sends one request and reads its answer.
func (q *sequential) post(ctx context.Context, method string, params map[string]any, answer any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.site.url+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", method, resp.Status, text)
	}
	return json.Unmarshal(text, answer)
}

// room drains the bucket up to now and returns the time until one more request fits.
func (q *sequential) room(now time.Time) time.Duration {
	if !q.at.IsZero() {
		q.level = max(0, q.level-2*now.Sub(q.at).Seconds())
	}
	q.at = now
	return time.Duration(max(0, q.level+1-49) / 2 * float64(time.Second))
}

// deal brings the list in step with one deal.
func (q *sequential) deal(ctx context.Context, id int) error {
	var rows struct {
		ProductRows []struct {
			ProductName     string
			Price, Quantity float64
		}
	}
	if err := q.call(ctx, "crm.item.productrow.list", map[string]any{"filter": map[string]any{"=ownerType": "D", "=ownerId": id}}, &rows); err != nil {
		return err
	}
	list := map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": q.site.ids.ShipmentList}
	var elements []struct{ NAME string }
	list["FILTER"] = map[string]any{"=" + q.property("DEAL"): id}
	if err := q.call(ctx, "lists.element.get", list, &elements); err != nil {
		return err
	}
	have := map[string]bool{}
	for _, e := range elements {
		have[e.NAME] = true
	}
	var adds []string
	for i, r := range rows.ProductRows {
		name := fmt.Sprintf("%s × %g", r.ProductName, r.Quantity)
		if have[name] {
			continue
		}
		adds = append(adds, q.add(id, i, name, r.Price, r.Quantity))
	}
	if len(adds) == 0 {
		return nil
	}
	var answer json.RawMessage
	return q.call(ctx, "batch", map[string]any{"halt": 0, "cmd": adds}, &answer)
}

// all processes the deals one after another.
func (q *sequential) all(ctx context.Context, deals []int) (time.Duration, error) {
	start := time.Now()
	for _, id := range deals {
		if err := q.deal(ctx, id); err != nil {
			return 0, fmt.Errorf("deal %d: %w", id, err)
		}
	}
	return time.Since(start), nil
}

// extrapolate estimates the time and the requests for more deals of the same kind. After
// the burst, the rate decides.
func (q *sequential) extrapolate(took time.Duration, done, deals int) (wall time.Duration, requests int64) {
	perDeal := float64(q.sent) / float64(done)
	requests = int64(perDeal * float64(deals))
	byRate := time.Duration(max(0, float64(requests)-50) / 2 * float64(time.Second))
	byLatency := time.Duration(float64(took-q.waited) / float64(done) * float64(deals))
	return max(byRate, byLatency), requests
}
