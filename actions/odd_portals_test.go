package actions_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/run"
)

// oddPortal answers as a portal may that has a fault, is set up in another way
// or does not know a parameter. Both functions may be nil.
type oddPortal struct {
	http.Handler
	// ask changes the parameters of a command.
	ask func(method string, params url.Values)
	// answer changes the result of a command.
	answer func(method string, params url.Values, result json.RawMessage) json.RawMessage
}

func (o *oddPortal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var batch struct {
		Halt any      `json:"halt"`
		Cmd  []string `json:"cmd"`
	}
	var commands []url.Values
	var methods []string
	if strings.HasSuffix(r.URL.Path, "/batch") && json.Unmarshal(body, &batch) == nil {
		for i, c := range batch.Cmd {
			method, query, _ := strings.Cut(c, "?")
			params, err := url.ParseQuery(query)
			if err != nil {
				panic(err)
			}
			if o.ask != nil {
				o.ask(method, params)
			}
			methods, commands = append(methods, method), append(commands, params)
			batch.Cmd[i] = method + "?" + params.Encode()
		}
		body, _ = json.Marshal(batch)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	recorded := httptest.NewRecorder()
	o.Handler.ServeHTTP(recorded, r)
	var answer map[string]json.RawMessage
	if o.answer == nil || json.Unmarshal(recorded.Body.Bytes(), &answer) != nil || answer["result"] == nil {
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(recorded.Body.Bytes())
		return
	}
	if batch.Cmd == nil {
		method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		answer["result"] = o.answer(method, nil, answer["result"])
	} else {
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(answer["result"], &inner)
		var list []json.RawMessage
		if json.Unmarshal(inner["result"], &list) == nil {
			for i := range list {
				list[i] = o.answer(methods[i], commands[i], list[i])
			}
			inner["result"], _ = json.Marshal(list)
		}
		answer["result"], _ = json.Marshal(inner)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// ownersKey is the key of a list of owners in a filter.
var ownersKey = regexp.MustCompile(`(?i)^filter\[=(ownerId|PROPERTY_\d+)\]\[(\d+)\]$`)

// propertyKey is a key of a property in a filter.
var propertyKey = regexp.MustCompile(`(?i)^filter\[[<>=]*PROPERTY_\d+\]`)

// owners returns the keys of the lists of owners in the parameters, in order.
func owners(params url.Values) (keys []string) {
	for key := range params {
		if ownersKey.MatchString(key) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return keys
}

// list changes the rows of a listing in both of its forms.
func list(result json.RawMessage, change func([]json.RawMessage) []json.RawMessage) json.RawMessage {
	var rows []json.RawMessage
	if json.Unmarshal(result, &rows) == nil {
		out, _ := json.Marshal(change(rows))
		return out
	}
	var wrapped map[string]json.RawMessage
	if json.Unmarshal(result, &wrapped) != nil {
		return result
	}
	for _, key := range []string{"productRows", "items"} {
		if json.Unmarshal(wrapped[key], &rows) == nil && rows != nil {
			wrapped[key], _ = json.Marshal(change(rows))
		}
	}
	out, _ := json.Marshal(wrapped)
	return out
}

func isListing(method string) bool { return method == listRows || method == listPieces }

// number is a number in an answer, as such or as a text. Ids have no decimals.
var number = regexp.MustCompile(`("(?:price|quantity|priceNetto|priceBrutto|priceExclusive)":)"?(\d+(?:\.\d+)?)"?`)

var decimals = regexp.MustCompile(`^\d+$`)

// TestOddPortals runs the shipped rule for many deals on portals that answer otherwise than
// documented. The result is right, or a run fails; an element is never lost and never
// belongs to another deal, and a pass in which nothing has changed writes nothing. When the
// portal answers as documented again, everything is right.
func TestOddPortals(t *testing.T) {
	if testing.Short() {
		t.Skip("it does one thing after another, many times")
	}
	const deals = 48 // their elements are three pages
	for name, odd := range map[string]oddPortal{
		"as documented": {},
		"only the first of several owners": {ask: func(_ string, params url.Values) {
			for _, key := range owners(params)[min(1, len(owners(params))):] {
				params.Del(key)
			}
		}},
		"a list of owners is the number 1": {ask: func(_ string, params url.Values) {
			if keys := owners(params); len(keys) > 0 {
				for _, key := range keys {
					params.Del(key)
				}
				params.Set(keys[0][:strings.LastIndexByte(keys[0], '[')], "1")
			}
		}},
		"nothing for a list of owners": {ask: func(_ string, params url.Values) {
			for _, key := range owners(params) {
				params.Set(key, "987654321")
			}
		}},
		"filters by properties are ignored": {ask: func(_ string, params url.Values) {
			for key := range params {
				if propertyKey.MatchString(key) {
					params.Del(key)
				}
			}
		}},
		"each page lacks its last rows": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			if !isListing(method) {
				return result
			}
			return list(result, func(rows []json.RawMessage) []json.RawMessage { return rows[:len(rows)-len(rows)/3] })
		}},
		"listings are empty": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			if !isListing(method) {
				return result
			}
			return list(result, func([]json.RawMessage) []json.RawMessage { return []json.RawMessage{} })
		}},
		"four decimals": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			if !isListing(method) {
				return result
			}
			return number.ReplaceAllFunc(result, func(m []byte) []byte {
				parts := number.FindSubmatch(m)
				value := string(parts[2])
				if decimals.MatchString(value) {
					value += "."
				}
				return fmt.Appendf(nil, `%s"%s00"`, parts[1], value)
			})
		}},
		"each listing has its first row twice": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			if !isListing(method) {
				return result
			}
			return list(result, func(rows []json.RawMessage) []json.RawMessage { return append(rows[:min(1, len(rows)):1], rows...) })
		}},
		"rows are in reverse": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			if !isListing(method) {
				return result
			}
			return list(result, func(rows []json.RawMessage) []json.RawMessage { slices.Reverse(rows); return rows })
		}},
		"all filters are ignored": {ask: func(method string, params url.Values) {
			for key := range params {
				if isListing(method) && strings.HasPrefix(strings.ToLower(key), "filter") {
					params.Del(key)
				}
			}
		}},
		"filters by id are ignored": {ask: func(method string, params url.Values) {
			for key := range params {
				if isListing(method) && strings.HasPrefix(strings.ToLower(key), "filter[>id]") {
					params.Del(key)
				}
			}
		}},
		"orders are ignored": {ask: func(method string, params url.Values) {
			for key := range params {
				if isListing(method) && strings.Contains(strings.ToLower(key), "order[") {
					params.Set(key, "DESC")
				}
			}
		}},
		"ids are texts": {answer: func(method string, _ url.Values, result json.RawMessage) json.RawMessage {
			return regexp.MustCompile(`("(?:id|ownerId|ID)":)(\d+)`).ReplaceAll(result, []byte(`$1"$2"`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBurst(t, emulator.Config{}, deals)
				defer b.portal.Close()
				defer b.client.Close()
				b.work(deals, 0)
				b.compare("filled", deals, 1, true)

				b.setRows(deals/3, 2)
				bent := odd
				bent.Handler = b.portal
				b.watch.portal = &bent
				failed := b.workOdd(deals)
				right := failed == 0 && name != "listings are empty" && name != "each page lacks its last rows"
				b.watch.portal = b.portal
				b.compare("with the odd portal", deals, 2, right)
				if failed > 0 {
					t.Logf("%d runs failed", failed)
				}
				if failed == 0 && right {
					b.watch.portal = &bent
					before := b.client.Stats().Writes
					if b.workOdd(deals); b.client.Stats().Writes != before {
						t.Errorf("%d writes although nothing has changed", b.client.Stats().Writes-before)
					}
					b.watch.portal = b.portal
				}
				b.work(deals, 0)
				b.compare("as documented again", deals, 2, true)
			})
		})
	}
}

// workOdd runs the rule for each deal and returns how many runs failed.
func (b *burst) workOdd(deals int) (failed int) {
	time.Sleep(time.Minute)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range deals {
		wg.Go(func() {
			r := run.Run{
				Portal: "test", Client: b.client, Entity: engine.Entity{Kind: "deal", TypeID: 2, ID: fmt.Sprint(i + 1)}, Count: 1, Attempt: 1,
				Inputs: b.inputs, Memory: &run.LocalMemory{},
			}
			if _, err := r.Do(b.t.Context(), b.rule); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed++; failed == 1 {
					b.t.Log(err)
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// compare reads the list as it is. Each deal has an element of each of its 3 rows, with the
// quantity of the row: the first third of the deals has had its rows set with least. If not
// all must be right, elements may have older quantities.
func (b *burst) compare(when string, deals, least int, right bool) {
	b.t.Helper()
	rows, err := b.client.List(b.t.Context(), bitrix.Call{Method: listPieces, Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": b.list}}, "")
	if err != nil {
		b.t.Fatal(err)
	}
	got := map[string][]string{}
	for _, raw := range rows {
		var e map[string]json.RawMessage
		if err := json.Unmarshal(raw, &e); err != nil {
			b.t.Fatal(err)
		}
		value := func(code string) string {
			var values map[string]string
			_ = json.Unmarshal(e[b.columns[code]], &values)
			for _, v := range values {
				return v
			}
			return ""
		}
		got[value("DEAL")] = append(got[value("DEAL")], value("QUANTITY"))
	}
	if len(got) != deals {
		b.t.Errorf("%s: elements of %d deals, want %d", when, len(got), deals)
	}
	for i := range deals {
		id := fmt.Sprint(i + 1)
		old, now := fmt.Sprint(i%7+1), fmt.Sprint(i%7+1)
		if i < deals/3 {
			now = fmt.Sprint(i%7 + least)
		}
		if len(got[id]) != 3 {
			b.t.Errorf("%s: deal %s has %d elements, want 3", when, id, len(got[id]))
		}
		for _, q := range got[id] {
			if q != now && (right || q != old) {
				b.t.Errorf("%s: an element of deal %s has the quantity %s, want %s", when, id, q, now)
			}
		}
	}
}
