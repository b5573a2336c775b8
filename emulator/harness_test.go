package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"b24rules/emulator"
)

// portal is a portal behind a real HTTP server.
type portal struct {
	*emulator.Portal
	t   testing.TB
	url string // of the server
}

// open starts a portal without limits, unless cfg names a plan.
func open(t testing.TB, cfg emulator.Config) *portal {
	t.Helper()
	if cfg.Plan == "" {
		cfg.Plan = emulator.PlanUnlimited
	}
	p := emulator.New(cfg)
	t.Cleanup(p.Close)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.SetBaseURL(server.URL)
	return &portal{Portal: p, t: t, url: server.URL}
}

// post calls a method through the inbound webhook with JSON.
func (p *portal) post(method, params string) (status int, body string) {
	p.t.Helper()
	return p.send(http.MethodPost, p.WebhookPath()+method, "application/json", params)
}

// asApp calls a method with the application's access token.
func (p *portal) asApp(method, params string) (status int, body string) {
	p.t.Helper()
	return p.send(http.MethodPost, "/rest/"+method+"?auth="+p.AppToken(), "application/json", params)
}

func (p *portal) send(verb, path, contentType, body string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), verb, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// must calls a method that has to succeed and returns its result.
func (p *portal) must(method, params string) any {
	p.t.Helper()
	status, body := p.post(method, params)
	if status != http.StatusOK {
		p.t.Fatalf("%s %s: status %d, %s", method, params, status, body)
	}
	answer, ok := parse(p.t, body).(map[string]any)
	if !ok {
		p.t.Fatalf("%s: %s is no object", method, body)
	}
	return answer["result"]
}

// add makes an item and returns its id.
func (p *portal) add(entityTypeID int, fields string) string {
	p.t.Helper()
	return text(at(p.must("crm.item.add", fmt.Sprintf(`{"entityTypeId":%d,"fields":%s}`, entityTypeID, fields)), "item", "id"))
}

// refused calls a method that has to fail and compares how.
func (p *portal) refused(method, params string, status int, want string) {
	p.t.Helper()
	got, body := p.post(method, params)
	if got != status {
		p.t.Errorf("%s %s: status %d, want %d", method, params, got, status)
	}
	p.match(method+" "+params, want, body)
}

// match compares JSON with a pattern: "*" stands for any value, and a key "…"
// for further keys.
func (p *portal) match(what, want, got string) {
	p.t.Helper()
	if diff := differ("", parse(p.t, want), parse(p.t, got)); diff != "" {
		p.t.Errorf("%s: %s\n got %s\nwant %s", what, diff, got, want)
	}
}

func parse(t testing.TB, body string) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(body)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

func differ(path string, want, got any) string {
	if want == "*" {
		return ""
	}
	switch want := want.(type) {
	case map[string]any:
		return differMap(path, want, got)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want a list of %d", path, got, len(want))
		}
		for i := range want {
			if diff := differ(fmt.Sprintf("%s[%d]", path, i), want[i], list[i]); diff != "" {
				return diff
			}
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s is %#v, want %#v", path, got, want)
	}
	return ""
}

func differMap(path string, want map[string]any, got any) string {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %v, want an object", path, got)
	}
	_, open := want["…"]
	for _, key := range slices.Sorted(maps.Keys(want)) {
		v, ok := object[key]
		if key == "…" {
			continue
		}
		if !ok {
			return path + "." + key + " is missing"
		}
		if diff := differ(path+"."+key, want[key], v); diff != "" {
			return diff
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if _, ok := want[key]; !ok && !open {
			return fmt.Sprintf("%s.%s is there, with %v", path, key, object[key])
		}
	}
	return ""
}

// at walks into decoded JSON.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// ids collects a field of a list of objects.
func ids(v any, key string) []string {
	var found []string
	list, _ := v.([]any)
	for _, x := range list {
		found = append(found, text(at(x, key)))
	}
	return found
}
