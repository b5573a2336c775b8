package ingest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
)

const hookSecret = "k7f3hook-secret-of-a-shop"

// credentialsOf are the hooks of the portal acme, by their names.
var credentialsOf = map[string]ingest.Credentials{
	"shop":   {By: ingest.ByHeader, Header: "X-Shop-Token", Secret: hookSecret},
	"path":   {By: ingest.ByPath, Secret: hookSecret},
	"basic":  {By: ingest.ByBasic, Secret: "shop:" + hookSecret},
	"signed": {By: ingest.ByHMAC, Header: "X-Signature", Secret: hookSecret},
	"fresh":  {By: ingest.ByHMAC, Header: "X-Signature", Secret: hookSecret, Stamp: "X-Time"},
	"open":   {By: ingest.ByHMAC, Header: "X-Signature"},
}

// sources is a handler that notes which requests it has received.
func sources(receive func(r ingest.Request) error) (h http.Handler, got *[]ingest.Request, lost *int, log *bytes.Buffer) {
	got, lost, log = new([]ingest.Request), new(int), new(bytes.Buffer)
	h = ingest.New(ingest.Config{
		Portal: portals,
		Push:   func(context.Context, string, bitrix.Event) error { return errors.New("no event is expected") },
		Lost:   func(string) { *lost++ },
		Hook: func(portal, name string) (ingest.Credentials, bool) {
			p, ok := credentialsOf[name]
			return p, ok && portal == "acme"
		},
		Robot: func(portal string) (ingest.Credentials, bool) {
			return ingest.Credentials{By: ingest.ByPath, Secret: hookSecret}, portal == "acme"
		},
		Receive: func(_ context.Context, _ string, r ingest.Request) error {
			if receive != nil {
				if err := receive(r); err != nil {
					return err
				}
			}
			*got = append(*got, r)
			return nil
		},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	return h, got, lost, log
}

func sign(text string) string { return signWith(hookSecret, text) }

func signWith(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestSourceStatuses: hooks and robots answer as events do, and nothing that is not proven
// is received.
func TestSourceStatuses(t *testing.T) {
	const order, call = `{"order": "A-17"}`, "document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=DEAL_12"
	now := fmt.Sprint(time.Now().Unix())
	raw, _ := hex.DecodeString(sign(order))
	robot := "/hooks/acme/robot/recount/" + hookSecret
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		body               string
		want               int
	}{
		{"a header", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, order, 200},
		{"slashes too many", "POST", "//hooks/acme//in/shop/", []string{"X-Shop-Token", hookSecret}, order, 200},
		{"a wrong header", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret + "x"}, order, 403},
		{"the beginning of the secret", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret[:20]}, order, 403},
		{"no header", "POST", "/hooks/acme/in/shop", nil, order, 403},
		{"an empty header", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", ""}, order, 403},
		{"two headers", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret, "X-Shop-Token", "x"}, order, 403},
		{"the secret in the wrong place", "POST", "/hooks/acme/in/shop/" + hookSecret, nil, order, 403},
		{"an unknown hook", "POST", "/hooks/acme/in/other", []string{"X-Shop-Token", hookSecret}, order, 403},
		{"an unknown portal", "POST", "/hooks/other/in/shop", []string{"X-Shop-Token", hookSecret}, order, 403},
		{"no hook", "POST", "/hooks/acme/in", nil, order, 404},
		{"a longer path", "POST", "/hooks/acme/in/shop/x/y", nil, order, 404},
		{"a wrong method", "GET", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, "", 405},
		{"too large", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, strings.Repeat("x", 1<<20+1), 413},
		{"a path", "POST", "/hooks/acme/in/path/" + hookSecret, nil, order, 200},
		{"a path without the secret", "POST", "/hooks/acme/in/path", nil, order, 403},
		{"a wrong path", "POST", "/hooks/acme/in/path/" + hookSecret + "0", nil, order, 403},
		{"basic", "POST", "/hooks/acme/in/basic", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("shop:"+hookSecret))}, order, 200},
		{"a wrong user", "POST", "/hooks/acme/in/basic", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("shopx:"+hookSecret))}, order, 403},
		{"a signature", "POST", "/hooks/acme/in/signed", []string{"X-Signature", sign(order)}, order, 200},
		{"a signature with its name", "POST", "/hooks/acme/in/signed", []string{"X-Signature", "sha256=" + sign(order)}, order, 200},
		{"a signature in base64", "POST", "/hooks/acme/in/signed", []string{"X-Signature", base64.StdEncoding.EncodeToString(raw)}, order, 200},
		{"a signature of another body", "POST", "/hooks/acme/in/signed", []string{"X-Signature", sign(order)}, order + " ", 403},
		{"the secret as a signature", "POST", "/hooks/acme/in/signed", []string{"X-Signature", hookSecret}, order, 403},
		{"half a signature", "POST", "/hooks/acme/in/signed", []string{"X-Signature", sign(order)[:32]}, order, 403},
		{"an empty signature", "POST", "/hooks/acme/in/signed", []string{"X-Signature", ""}, order, 403},
		{"a hook without a secret", "POST", "/hooks/acme/in/open", []string{"X-Signature", sign(order)}, order, 403},
		{"a hook without a secret, signed with none", "POST", "/hooks/acme/in/open", []string{"X-Signature", signWith("", order)}, order, 403},
		{"a fresh signature", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign(now + "." + order), "X-Time", now}, order, 200},
		{"an old one", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign("1700000000." + order), "X-Time", "1700000000"}, order, 403},
		{"one of the future", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign("99999999999." + order), "X-Time", "99999999999"}, order, 403},
		{"a time that is not signed", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign(order), "X-Time", now}, order, 403},
		{"no time", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign(order)}, order, 403},
		{"a time that is none", "POST", "/hooks/acme/in/fresh", []string{"X-Signature", sign("now." + order), "X-Time", "now"}, order, 403},
		{"a robot", "POST", robot + "?reason=stock", nil, call, 200},
		{"a robot with a wrong secret", "POST", robot + "x", nil, call, 403},
		{"a robot without a secret", "POST", "/hooks/acme/robot/recount", nil, call, 403},
		{"a robot without a secret, with a slash", "POST", "/hooks/acme/robot/recount/", nil, call, 403},
		{"a robot without a code", "POST", "/hooks/acme/robot", nil, call, 404},
		{"the secret in the place of the code", "POST", "/hooks/acme/robot/" + hookSecret, nil, call, 403},
		{"the secret in the place of the hook", "POST", "/hooks/acme/in/" + hookSecret, nil, order, 403},
		{"the secret as a value of the address", "POST", "/hooks/acme/robot/recount?secret=" + hookSecret, nil, call, 403},
		{"a robot whose secret goes on", "POST", robot + "/x", nil, call, 404},
		{"a code with other letters", "POST", "/hooks/acme/robot/пересчёт/" + hookSecret, nil, call, 200},
		{"a hook with other letters", "POST", "/hooks/acme/in/магазин", []string{"X-Shop-Token", hookSecret}, order, 403},
		{"a code that is escaped", "POST", "/hooks/acme/robot/re%2Fcount/" + hookSecret, nil, call, 404},
		{"a NUL in the name", "POST", "/hooks/acme/in/shop%00", []string{"X-Shop-Token", hookSecret}, order, 403},
		{"an empty body", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, "", 200},
		{"a large body", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, strings.Repeat("x", 1<<20), 200},
		{"a robot that is too large", "POST", robot, nil, strings.Repeat("x", 1<<20+1), 413},
		{"a path in capitals", "POST", "/hooks/acme/IN/shop", []string{"X-Shop-Token", hookSecret}, order, 404},
		{"a header in small letters", "POST", "/hooks/acme/in/shop", []string{"x-shop-token", hookSecret}, order, 200},
		{"blanks around the header", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", " " + hookSecret + " "}, order, 200},
		{"the secret twice in one header", "POST", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret + ", " + hookSecret}, order, 403},
		{"the token of events", "POST", "/hooks/acme/in/shop", nil, "auth[application_token]=" + token, 403},
		{"the secret of hooks in an event", "POST", "/hooks/acme", nil, "event=ONCRMDEALUPDATE&auth[application_token]=" + hookSecret, 403},
		{"HEAD", "HEAD", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, "", 405},
		{"PUT", "PUT", "/hooks/acme/in/shop", []string{"X-Shop-Token", hookSecret}, order, 405},
		{"DELETE", "DELETE", robot, nil, "", 405},
		{"OPTIONS", "OPTIONS", robot, nil, "", 405},
		{"a robot of another portal", "POST", strings.Replace(robot, "acme", "other", 1), nil, call, 403},
		{"a robot by GET", "GET", robot, nil, "", 405},
		{"a hook at the address of robots", "POST", "/hooks/acme/robot/recount/shop", []string{"X-Shop-Token", hookSecret}, call, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, got, lost, log := sources(nil)
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", formURL)
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want || len(*got) == 1 != (tt.want == 200) || *lost > 0 {
				t.Errorf("status %d, want %d; received %d; lost %d; %s", w.Code, tt.want, len(*got), *lost, log)
			}
			if said := w.Body.String() + log.String(); strings.Contains(said, "k7f3") {
				t.Errorf("a secret is shown: %s", said)
			}
		})
	}
}

// TestUnknownHookLooksLikeAWrongSecret: a stranger does not learn which hooks exist.
func TestUnknownHookLooksLikeAWrongSecret(t *testing.T) {
	h, _, _, _ := sources(nil)
	wrong, unknown := post(h, "POST", "/hooks/acme/in/shop", "application/json", "{}"), post(h, "POST", "/hooks/acme/in/nothing", "application/json", "{}")
	if wrong.Body.String() != unknown.Body.String() || fmt.Sprint(wrong.Header()) != fmt.Sprint(unknown.Header()) {
		t.Errorf("answers differ: %v %q and %v %q", wrong.Header(), wrong.Body, unknown.Header(), unknown.Body)
	}
}

// TestUnfitRequests: a proven request that does not fit gets the findings, and one that
// cannot be stored 503. Neither opens a window of lost events, because the sender knows.
func TestUnfitRequests(t *testing.T) {
	for want, failure := range map[int]error{
		422: ingest.Unfit(json.RawMessage(`[{"path":"sum","message":"is text, want number"}]`), errors.New("A-17")),
		503: errors.New("disk full"),
	} {
		h, _, lost, log := sources(func(ingest.Request) error { return failure })
		w := post(h, "POST", "/hooks/acme/in/path/"+hookSecret, "application/json", "{}")
		if w.Code != want || *lost > 0 {
			t.Errorf("status %d, want %d; lost %d", w.Code, want, *lost)
		}
		if want == 422 && (w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(w.Body.String(), `[{"path":"sum"`)) {
			t.Errorf("the answer is %v %s", w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "disk") || strings.Contains(log.String(), "k7f3") || !strings.Contains(log.String(), "event=in/path") {
			t.Errorf("answer %q, log %s", w.Body, log)
		}
	}
	h, _, _, _ := sources(func(ingest.Request) error { return ingest.Untaken(errors.New("no rule")) })
	if w := post(h, "POST", "/hooks/acme/in/path/"+hookSecret, "application/json", "{}"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no rule takes the hook: status %d, header %v", w.Code, w.Header())
	}
}

// TestRefusalsInTheLog: the operator learns why a request was refused, and the sender does not.
// Neither sees the secret, also if it is in the place of a name.
func TestRefusalsInTheLog(t *testing.T) {
	for path, want := range map[string]string{
		"/hooks/acme/in/shop":                  "does not prove itself to in/shop: want the secret in the header X-Shop-Token",
		"/hooks/acme/in/path/x":                "want the secret at the end of the address",
		"/hooks/acme/in/basic":                 "want the secret as user and password",
		"/hooks/acme/in/signed":                "want the HMAC of the body in the header X-Signature",
		"/hooks/acme/in/fresh":                 "a time of the last five minutes in X-Time",
		"/hooks/acme/in/open":                  "in/open: it has no secret",
		"/hooks/acme/in/" + hookSecret:         "the portal or the hook is not configured",
		"/hooks/acme/robot/" + hookSecret:      "the address of a robot ends with a wrong secret, or with none",
		"/hooks/other/robot/recount/x":         "the portal or its robots are not configured",
		"/hooks/acme/robot/recount/" + "wrong": "the address of a robot ends with a wrong secret",
	} {
		h, _, _, log := sources(nil)
		w := post(h, "POST", path, "application/json", "{}")
		if w.Code != 403 || !strings.Contains(log.String(), want) || strings.Contains(log.String(), "k7f3") || strings.TrimSpace(w.Body.String()) != "wrong address or secret" {
			t.Errorf("%s: %d %q, the log says %s", path, w.Code, w.Body, log)
		}
	}
}

// FuzzSources: no request without the secret is received, whatever its path and headers
// are.
func FuzzSources(f *testing.F) {
	f.Add("/hooks/acme/in/shop", "X-Shop-Token", "x", "{}")
	f.Add("/hooks/acme/in/signed", "X-Signature", "sha256=00", "{}")
	f.Add("/hooks/acme/robot/recount/x", "Authorization", "Basic Og==", "document_id[2]=DEAL_1")
	f.Add("/hooks/acme/in/fresh", "X-Time", "-1", "")
	f.Add("/hooks/acme/robot/recount", "X-Shop-Token", "", "document_id[2]=DEAL_1")
	f.Add("//hooks/acme/in//path/", "Authorization", "Bearer x", "{}")
	f.Add("/hooks/acme/in/shop\x00", "X-Shop-Token", "\u202ex", strings.Repeat("x", 20_000))
	h, got, _, log := sources(nil)
	f.Fuzz(func(t *testing.T, path, name, value, body string) {
		log.Reset()
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		if r.URL.Path = path; strings.Contains(path+value+body, hookSecret) {
			return
		}
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 200 || len(*got) > 0 {
			t.Fatalf("status %d, received %d", w.Code, len(*got))
		}
		if w.Code == 0 || w.Code >= 500 {
			t.Fatalf("status %d", w.Code)
		}
	})
}
