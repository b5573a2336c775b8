package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
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
	return p.send(http.MethodPost, "/rest/"+method+"?auth="+p.App().Token(), "application/json", params)
}

// asEmployee calls a method as the application, for a user who is no
// administrator.
func (p *portal) asEmployee(method, params string) (status int, body string) {
	p.t.Helper()
	tokens, err := p.App().Authorize(p.AddUser(emulator.User{Name: "Eve", NotAdmin: true}))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.send(http.MethodPost, "/rest/"+method+"?auth="+tokens.Access, "application/json", params)
}

// manyConns keeps the connections of many clients open.
var manyConns = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (p *portal) send(verb, path, contentType, body string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), verb, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := manyConns.Do(req)
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

// match compares JSON with a pattern: "*" means any value, "<number>" and
// the other names of kinds for a value of the kind, ["each", …] for a list whose
// elements all fit, "field: …" for the description of a field, see fieldPattern,
// and a key "…" for further keys.
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
	if name, ok := want.(string); ok {
		if description, ok := strings.CutPrefix(name, "field: "); ok {
			return differMap(path, fieldPattern(description), got)
		}
		if k, ok := kinds[strings.TrimSuffix(name, "?")]; ok {
			if strings.HasSuffix(name, "?") && got == nil || k(got) {
				return ""
			}
			return fmt.Sprintf("%s is %#v, want %s", path, got, name)
		}
	}
	switch want := want.(type) {
	case map[string]any:
		return differMap(path, want, got)
	case []any:
		if len(want) == 2 && want[0] == "each" {
			return differEach(path, want[1], got)
		}
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

// differEach compares a list's elements with one pattern.
func differEach(path string, want, got any) string {
	list, ok := got.([]any)
	if !ok || len(list) == 0 {
		return fmt.Sprintf("%s is %v, want a list that is not empty", path, got)
	}
	for i := range list {
		if diff := differ(fmt.Sprintf("%s[%d]", path, i), want, list[i]); diff != "" {
			return diff
		}
	}
	return ""
}

// kinds are what a pattern can want of a value without naming it.
var kinds = map[string]func(any) bool{
	"<string>":   func(v any) bool { _, ok := v.(string); return ok },
	"<number>":   func(v any) bool { _, ok := v.(json.Number); return ok },
	"<bool>":     func(v any) bool { _, ok := v.(bool); return ok },
	"<list>":     func(v any) bool { _, ok := v.([]any); return ok },
	"<object>":   func(v any) bool { _, ok := v.(map[string]any); return ok },
	"<digits>":   textLike(`^\d+$`),
	"<decimal>":  textLike(`^-?\d+\.\d{2,8}$`),
	"<flag>":     textLike(`^[YN]$`),
	"<datetime>": textLike(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`),
	"<local>":    textLike(`^\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [ap]m$`),
}

// fieldPattern is what the methods fields say of a field, written short: its
// type, then readOnly, required, immutable, multiple, dynamic or deprecated where
// they are true, statusType=X, upperName=X, settings, items and labels.
func fieldPattern(description string) map[string]any {
	words := strings.Fields(description)
	want := map[string]any{"type": words[0], "title": "<string>"}
	for _, flag := range []string{"isRequired", "isReadOnly", "isImmutable", "isMultiple", "isDynamic"} {
		want[flag] = false
	}
	for _, word := range words[1:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "statusType", "upperName":
			want[name] = value
		case "settings", "items":
			want[name] = "*"
		case "labels":
			want["listLabel"], want["formLabel"], want["filterLabel"] = "<string>", "<string>", "<string>"
		default:
			want["is"+strings.ToUpper(name[:1])+name[1:]] = true
		}
	}
	return want
}

func textLike(pattern string) func(any) bool {
	re := regexp.MustCompile(pattern)
	return func(v any) bool {
		s, ok := v.(string)
		return ok && re.MatchString(s)
	}
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
