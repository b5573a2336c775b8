package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/redact"
)

// canary is a secret with all characters that are escaped somewhere. Its middle is in
// every spelling but Base64 and hexadecimal digits.
const canary = `k<a"n&a/r+i e'n%25v\nogel ключ=`

// spellings are what programs write a text as.
var spellings = map[string]func(string) string{
	"plain":           func(s string) string { return s },
	"small letters":   strings.ToLower,
	"capital letters": strings.ToUpper,
	"JSON of Go":      func(s string) string { return inside(s, true) },
	"JSON of JavaScript": func(s string) string {
		return inside(s, false)
	},
	"JSON of PHP": func(s string) string {
		var b strings.Builder
		for _, r := range inside(s, false) {
			switch {
			case r == '/':
				b.WriteString(`\/`)
			case r > 0x7f:
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				b.WriteRune(r)
			}
		}
		return b.String()
	},
	"all characters as \\u": func(s string) string { return each(s, `\u%04X`) },
	"query":                 url.QueryEscape,
	"path":                  url.PathEscape,
	"all bytes as %": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		return b.String()
	},
	"escape of JavaScript":   func(s string) string { return each(s, "%%u%04x") },
	"HTML":                   html.EscapeString,
	"HTML, numbers":          func(s string) string { return each(s, "&#%d;") },
	"HTML, hexadecimal":      func(s string) string { return each(s, "&#x%x;") },
	"Go":                     func(s string) string { q := fmt.Sprintf("%q", s); return q[1 : len(q)-1] },
	"Go, ASCII":              func(s string) string { q := fmt.Sprintf("%+q", s); return q[1 : len(q)-1] },
	"Base64":                 func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"Base64 of a user":       func(s string) string { return base64.StdEncoding.EncodeToString([]byte("u:" + s)) },
	"Base64 of another user": func(s string) string { return base64.URLEncoding.EncodeToString([]byte("us:" + s + "?")) },
	"hexadecimal":            func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hexadecimal, capitals":  func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
}

func inside(s string, forHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(forHTML)
	_ = e.Encode(s)
	return strings.TrimSuffix(b.String()[1:], "\"\n")
}

func each(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// TestSpellings: each spelling is hidden, alone and inside of each other spelling, and the
// text around it stays.
func TestSpellings(t *testing.T) {
	r := redact.New(canary, "another-secret")
	for inner, first := range spellings {
		text := "left. " + first(canary) + " .right"
		if got := r.Text(text); got != "left. "+redact.Hidden+" .right" {
			t.Errorf("%s: %s\nof %s", inner, got, text)
		}
		for outer, second := range spellings {
			if strings.HasPrefix(outer, "Base64") || strings.HasPrefix(outer, "hexa") || strings.HasSuffix(outer, "letters") {
				continue
			}
			text := "left. " + second(first(canary)) + " .right"
			if got := r.Text(text); got != "left. "+redact.Hidden+" .right" {
				t.Errorf("%s in %s: %s\nof %s", inner, outer, got, text)
			}
		}
	}
}

// TestSinks: a secret in each spelling goes through each function that hides, as a value,
// as a key and next to other text.
func TestSinks(t *testing.T) {
	r := redact.New(canary)
	sinks := map[string]func(string) string{
		"Text":  r.Text,
		"Error": func(s string) string { return r.Error(errors.New(s)).Error() },
		"JSON": func(s string) string {
			data, _ := json.Marshal(map[string]any{"a" + s: []any{s, map[string]string{"b": "x " + s}}})
			return string(r.JSON(data))
		},
		"JSON in JSON": func(s string) string {
			data, _ := json.Marshal(map[string]string{s: s})
			data, _ = json.Marshal([]string{string(data)})
			return string(r.JSON(data))
		},
		"Body, form": func(s string) string { return string(r.Body([]byte("a=1&b=" + url.QueryEscape(s)))) },
		"Body, text": func(s string) string { return string(r.Body([]byte("<p>" + s + "</p>"))) },
		"log": func(s string) string {
			var b bytes.Buffer
			log := slog.New(r.Handler(slog.NewTextHandler(&b, nil)))
			log.With("w", s).WithGroup("g").Error("m "+s, "k", s, "e", errors.New(s), "l", []string{s}, s, 1, slog.Group("h", "x", s), "b", []byte(s), "n", 7)
			return b.String()
		},
		"log, JSON": func(s string) string {
			var b bytes.Buffer
			slog.New(r.Handler(slog.NewJSONHandler(&b, nil))).Error("m "+s, "k", s, "e", errors.New(s), "m", map[string]string{"x": s}, "y", stringer(s))
			return b.String()
		},
	}
	for name, spell := range spellings {
		text := spell(canary)
		for sink, show := range sinks {
			got := show(text)
			if !strings.Contains(got, redact.Hidden) && !strings.Contains(got, `\u003csecret\u003e`) {
				t.Errorf("%s through %s: nothing is hidden in %s", name, sink, got)
			}
			if strings.Contains(strings.ToLower(got), "ogel") || strings.Contains(got, text) {
				t.Errorf("%s through %s: %s", name, sink, got)
			}
			if strings.HasPrefix(sink, "JSON") && !json.Valid([]byte(got)) {
				t.Errorf("%s through %s is no JSON: %s", name, sink, got)
			}
		}
	}
}

type stringer string

func (s stringer) MarshalText() ([]byte, error) { return []byte(s), nil }

func TestJSON(t *testing.T) {
	r := redact.New("https://portal.bitrix24.com/rest/1/c0de0fthewebhook/", "t0ken0ftheapplication", `a"b/c<d`, "123456789", "x", "k4s5", "postgres://bob:p4ssw0rd@db/b")
	tests := []struct{ name, in, want string }{
		{"nothing to hide", `{"TITLE":"x 1 <b>","PRICE":1.50}`, `{"TITLE":"x 1 <b>","PRICE":1.50}`},
		{"code of the webhook", `{"urlMachine":"https:\/\/portal.bitrix24.com\/rest\/1\/c0de0fthewebhook\/crm.file\/?id=7"}`, `{"urlMachine":"<secret>crm.file/?id=7"}`},
		{"code alone", `["c0de0fthewebhook","it is c0de0fthewebhook."]`, `["<secret>","it is <secret>."]`},
		{"code in another address", `["https://c0de0fthewebhook.example.com/"]`, `["https://<secret>.example.com/"]`},
		{"code of another webhook", `["https:\/\/other.bitrix24.com\/rest\/1\/abcdefgh12345678\/crm"]`, `["https://other.bitrix24.com/rest/1/<secret>/crm"]`},
		{"password of an address", `["it is p4ssw0rd"]`, `["it is <secret>"]`},
		{"token", `{"a":{"b":["t0ken0ftheapplication"]}}`, `{"a":{"b":["<secret>"]}}`},
		{"key", `{"t0ken0ftheapplication":1}`, `{"<secret>":1}`},
		{"escaped", `["a\"b\/c\u003cd"]`, `["<secret>"]`},
		{"escaped otherwise", `["a\"b/c<d"]`, `["<secret>"]`},
		{"number", `{"n":123456789,"m":12.5}`, `{"m":12.5,"n":"<secret>"}`},
		{"short secret", `["k4s5","k4s55","ak4s5","a k4s5."]`, `["<secret>","k4s55","ak4s5","a <secret>."]`},
		{"names of secrets", `{"access_token":"abc","AUTH_ID":"abc","auth":{"client_secret":"abc"},"password":"abc","n":1.10}`, `{"AUTH_ID":"<secret>","access_token":"<secret>","auth":{"client_secret":"<secret>"},"n":1.10,"password":"<secret>"}`},
		{"names in JSON in JSON", `["{\"refresh_token\":\"abc\",\"n\":1.10}"]`, `["{\"n\":1.10,\"refresh_token\":\"<secret>\"}"]`},
		{"password in an address", `["see https://bob:hunter2@host.example/x?y=1 and bob@host.example"]`, `["see https://bob:<secret>@host.example/x?y=1 and bob@host.example"]`},
		{"token in an address", `["https://host.example/f?auth=abc&id=7&access_token=abc"]`, `["https://host.example/f?auth=<secret>&id=7&access_token=<secret>"]`},
		{"key of a filter", `{"filter":{"@id":[1,2]},"url":"https://host.example"}`, `{"filter":{"@id":[1,2]},"url":"https://host.example"}`},
		{"broken", `{"a":"c0de0fthewebhook`, `"<secret>"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(r.JSON([]byte(tt.in))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	var none *redact.Redactor
	if got := string(none.JSON([]byte(`{"a_token":"abc","b":1}`))); got != `{"a_token":"<secret>","b":1}` {
		t.Errorf("without known secrets: %s", got)
	}
}

func TestBody(t *testing.T) {
	r := redact.New("s3cret-of-all")
	for in, want := range map[string]string{
		"event=ONCRMDEALUPDATE&auth[access_token]=abc&auth%5Bapplication_token%5D=def&x=1": "event=ONCRMDEALUPDATE&auth[access_token]=<secret>&auth%5Bapplication_token%5D=<secret>&x=1",
		"\uFEFF {\"access_token\":\"abc\"}\n":                                              `{"access_token":"<secret>"}`,
		"<html>a=b s3cret%2Dof%2Dall</html>":                                               "<html>a=b <secret></html>",
		"":                                                                                 "",
	} {
		if got := string(r.Body([]byte(in))); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", in, got, want)
		}
	}
}

// TestSet: an owner's secrets are replaced, those of others stay.
func TestSet(t *testing.T) {
	r := redact.New("first-secret")
	r.Set("tokens", "second-secret", "third-secret")
	r.Set("tokens", "third-secret", "fourth-secret")
	if got := r.Text("first-secret second-secret third-secret fourth-secret"); got != "<secret> second-secret <secret> <secret>" {
		t.Error(got)
	}
	r.Set("")
	r.Set("tokens")
	if got := r.Text("first-secret fourth-secret"); got != "first-secret fourth-secret" {
		t.Error(got)
	}
	if r.Error(nil) != nil {
		t.Error("an error out of nothing")
	}
	sentinel := errors.New("first-secret")
	r.Set("", "first-secret")
	if err := r.Error(sentinel); !errors.Is(err, sentinel) || err.Error() != redact.Hidden {
		t.Error(err)
	}
}

// TestOverlap: of secrets that overlap no part stays.
func TestOverlap(t *testing.T) {
	if got := redact.New("abcdefgh", "efghijkl", "abcdef").Text("1 abcdefghijkl 2 abcdefg"); got != "1 <secret> 2 <secret>g" {
		t.Error(got)
	}
}

// FuzzText: a secret is not in the text that is left, and text without one is unchanged.
func FuzzText(f *testing.F) {
	f.Add("k<anari/envogel", "a ", ` \u00`)
	f.Add("12345678", "%", "%")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(strings.TrimSpace(secret)) < 6 || strings.Contains(redact.Hidden, secret) {
			t.Skip()
		}
		secret = strings.TrimSpace(secret)
		got := redact.New(secret).Text(before + secret + after)
		if strings.Contains(strings.ReplaceAll(got, redact.Hidden, "\x00"), secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	var secrets []string
	for i := range 500 {
		secrets = append(secrets, fmt.Sprintf("https://portal%d.bitrix24.com/rest/1/%016x/", i, i*7919), fmt.Sprintf("%032x", i*104729))
	}
	r := redact.New(secrets...)
	data := []byte(`{"rule":"shipments","steps":[` + strings.Repeat(`{"step":"rows","result":{"TITLE":"\u0421\u0434\u0435\u043b\u043a\u0430 \"5\"","PRICE":"12.50"}},`, 20) + `1]}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r.JSON(data)
	}
}
