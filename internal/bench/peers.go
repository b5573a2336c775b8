package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/internal/wakeup"
)

// peers measures other clients with the work of ours.
type peers struct{ *bench }

// peer fills the list of a site, or finds that nothing is to be done. It returns how many
// elements it added.
type peer func(context.Context, *site) (added int, err error)

// casePeer measures another client with the work of caseSync.
func (b peers) casePeer(ctx context.Context, name string, run peer) error {
	s, err := newSite(ctx, "peer", true, b.deals, rowsPerDeal)
	if err != nil {
		return err
	}
	defer s.close()
	for i, what := range []string{"6 sync, list empty", "6 sync, unchanged"} {
		s.portal.Reset()
		start := time.Now()
		added, err := run(ctx, s)
		if err != nil {
			return err
		}
		if want := b.deals * rowsPerDeal * (1 - i); added != want {
			return fmt.Errorf("%s added %d elements, expected %d", name, added, want)
		}
		st := s.portal.Stats()
		b.add(row{
			what: fmt.Sprintf("%s, %d deals", what, b.deals), client: name, wall: time.Since(start),
			requests: st.Requests, commands: commands(st), refused: s.refused(), events: b.deals, floor: daily(b).syncFloor(i == 0),
		})
		if i == 0 {
			if err := drain(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// caseBatches measures a client that works as fast_bitrix24 does: it reads everything in
// batches, compares, and writes the differences in batches, several at the same time.
func (b peers) caseBatches(ctx context.Context) error {
	return b.casePeer(ctx, "parallel batches", func(ctx context.Context, s *site) (int, error) {
		return (&batches{sequential: newSequential(s), slots: make(chan struct{}, 10)}).fill(ctx)
	})
}

// caseSDK measures a program that uses the official JavaScript SDK.
func (b peers) caseSDK(ctx context.Context) error {
	return b.casePeer(ctx, "b24jssdk", func(ctx context.Context, s *site) (int, error) { return b.sdk(ctx, s) })
}

// sdk runs tools/jssdk/fill.mjs. The SDK insists on TLS.
func (b peers) sdk(ctx context.Context, s *site) (added int, err error) {
	server := httptest.NewTLSServer(s)
	defer server.Close()
	authority := filepath.Join(b.dir, "ca.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(authority, pem.EncodeToMemory(&block), 0o600); err != nil {
		return 0, err
	}
	what, err := json.Marshal(map[string]any{
		"list": s.ids.ShipmentList, "deal": s.ids.Properties["DEAL"], "quantity": s.ids.Properties["QUANTITY"], "sum": s.ids.Properties["SUM"],
	})
	if err != nil {
		return 0, err
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "fill.mjs")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "tools/jssdk", &out, &complaints
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority, "NO_PROXY=127.0.0.1", "B24_APPLICATION={}",
		"B24_WEBHOOK="+server.URL+s.portal.WebhookPath(), "FILL="+string(what))
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("node fill.mjs (npm ci --prefix tools/jssdk installs the SDK): %w\n%.2000s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var report struct{ Added int }
	return report.Added, json.Unmarshal([]byte(lines[len(lines)-1]), &report)
}

// batches is a client that sends full batches at the same time, as often as the limit allows.
type batches struct {
	*sequential
	slots chan struct{}
	mu    sync.Mutex
}

// each runs a call for each part of 50, all at the same time, and collects their results.
func (q *batches) each(ctx context.Context, cmds []string) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(cmds))
	errs := make(chan error, len(cmds))
	var wg sync.WaitGroup
	for start := 0; start < len(cmds); start += 50 {
		part := cmds[start:min(start+50, len(cmds))]
		wg.Go(func() {
			q.slots <- struct{}{}
			defer func() { <-q.slots }()
			var answer struct {
				Result struct {
					Result      []json.RawMessage `json:"result"`
					ResultError json.RawMessage   `json:"result_error"`
				}
			}
			if err := q.send(ctx, "batch", map[string]any{"halt": 0, "cmd": part}, &answer); err != nil {
				errs <- err
				return
			}
			r := answer.Result
			if len(r.Result) != len(part) {
				errs <- fmt.Errorf("a batch of %d commands has %d results: %.300s", len(part), len(r.Result), r.ResultError)
				return
			}
			copy(out[start:], r.Result)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		return nil, err
	}
	return out, nil
}

// send waits for its turn and sends one request.
func (q *batches) send(ctx context.Context, method string, params map[string]any, answer any) error {
	q.mu.Lock()
	wait := q.room(time.Now())
	q.level++
	q.sent++
	q.mu.Unlock()
	if err := wakeup.Sleep(ctx, wait); err != nil {
		return err
	}
	return q.post(ctx, method, params, answer)
}

// pages reads all rows of a listing: the number of rows, and then all pages in batches.
func (q *batches) pages(ctx context.Context, method string, params url.Values) ([]json.RawMessage, error) {
	var first struct{ Total int }
	if err := q.send(ctx, method+"?"+params.Encode(), map[string]any{}, &first); err != nil {
		return nil, err
	}
	var cmds []string
	for start := 0; start < first.Total; start += 50 {
		params.Set("start", strconv.Itoa(start))
		cmds = append(cmds, method+"?"+params.Encode())
	}
	return q.each(ctx, cmds)
}

// fill brings the list in step with all deals.
func (q *batches) fill(ctx context.Context) (added int, err error) {
	pages, err := q.pages(ctx, "crm.deal.list", url.Values{"select[]": {"ID"}, "order[ID]": {"ASC"}})
	if err != nil {
		return 0, err
	}
	var ids, reads []string
	for _, page := range pages {
		var deals []struct{ ID string }
		if err := json.Unmarshal(page, &deals); err != nil {
			return 0, err
		}
		for _, d := range deals {
			ids = append(ids, d.ID)
			reads = append(reads, "crm.item.productrow.list?"+url.Values{"filter[=ownerType]": {"D"}, "filter[=ownerId]": {d.ID}}.Encode())
		}
	}
	rows, err := q.each(ctx, reads)
	if err != nil {
		return 0, err
	}
	list := url.Values{"IBLOCK_TYPE_ID": {"lists"}, "IBLOCK_ID": {strconv.Itoa(q.site.ids.ShipmentList)}}
	if pages, err = q.pages(ctx, "lists.element.get", list); err != nil {
		return 0, err
	}
	made := map[string]bool{}
	for _, page := range pages {
		var elements []map[string]any
		if err := json.Unmarshal(page, &elements); err != nil {
			return 0, err
		}
		for _, e := range elements {
			values, _ := e[q.property("DEAL")].(map[string]any)
			for _, id := range values {
				made[fmt.Sprintf("%v/%v", id, e["NAME"])] = true
			}
		}
	}
	var adds []string
	for i, raw := range rows {
		var answer struct {
			ProductRows []struct {
				ProductName     string
				Price, Quantity float64
			}
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return 0, err
		}
		id, err := strconv.Atoi(ids[i])
		if err != nil {
			return 0, err
		}
		for n, r := range answer.ProductRows {
			if name := fmt.Sprintf("%s × %g", r.ProductName, r.Quantity); !made[ids[i]+"/"+name] {
				adds = append(adds, q.add(id, n, name, r.Price, r.Quantity))
			}
		}
	}
	_, err = q.each(ctx, adds)
	return len(adds), err
}
