package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/schemas"
)

// control answers under /_emulator/: what a test or a demo asks of the emulator
// itself. It is not a part of any portal and asks for no credentials.
func (p *Portal) control(w http.ResponseWriter, r *http.Request, path string) {
	if actor, name, ok := strings.Cut(path, "/"); ok && r.Method == http.MethodPost && (actor == "person" || actor == "robot") {
		p.act(w, r, actor, name)
		return
	}
	switch r.Method + " " + strings.TrimSuffix(path, "/") {
	case "GET stats":
		reply(w, http.StatusOK, p.Stats())
	case "GET calls":
		calls := p.Calls()
		if last, err := strconv.Atoi(r.URL.Query().Get("last")); err == nil {
			calls = calls[max(0, len(calls)-max(0, last)):]
		}
		reply(w, http.StatusOK, calls)
	case "GET history":
		reply(w, http.StatusOK, p.History())
	case "GET app":
		reply(w, http.StatusOK, p.appKeys())
	case "POST app":
		p.controlApp(w, r)
	case "POST reset":
		p.Reset()
		reply(w, http.StatusOK, map[string]bool{"reset": true})
	case "POST webhooks":
		p.controlWebhooks(w, r)
	case "GET faults":
		reply(w, http.StatusOK, p.Faults())
	case "POST faults":
		p.controlFaults(w, r)
	case "DELETE faults":
		p.faults.set(nil)
		reply(w, http.StatusOK, p.Faults())
	default:
		complain(w, http.StatusNotFound, "want GET stats, calls, history, app or faults, POST reset, webhooks, app, faults, person/METHOD or robot/METHOD, or DELETE faults")
	}
}

// act runs a method as what happens inside the portal: what its users do with
// its pages, or an automation rule, which has no user. It is no REST call, so
// no limit and no fault stands in its way, and no journal keeps it but the
// history of changes. Its events are sent.
func (p *Portal) act(w http.ResponseWriter, r *http.Request, actor, name string) {
	p.seeHost(r.Host)
	req := &request{ctx: r.Context(), params: decodeRequest(r), user: p.user.ID, inside: true, by: origin{hops: firstHops}}
	if actor == "person" {
		req.by.user = req.user
	}
	a := &answer{}
	switch m, err := p.find(name); {
	case err != nil:
		a.err = err
	case m.app:
		a.err = failStatus(http.StatusForbidden, "WRONG_AUTH_TYPE", "Application context required")
	case m.name == batchMethod:
		a = p.runBatch(req)
	default:
		a = p.run(req, m, req.params, nil)
	}
	writeJSON(w, a.status(), a.body())
	p.dispatch(req.changes)
}

// appKeys are what an application's developer knows of it, with tokens of the
// administrator that are new each time.
func (p *Portal) appKeys() map[string]string {
	t, _ := p.Authorize(p.user.ID) // without an installation there are none
	p.mu.Lock()
	defer p.mu.Unlock()
	return map[string]string{
		"client_id": p.app.clientID, "client_secret": p.app.clientSecret, "access_token": t.Access, "refresh_token": t.Refresh,
		"application_token": p.app.token, "member_id": p.app.memberID, "client_endpoint": p.baseURL + "/rest/",
		"server_endpoint": p.baseURL + "/rest/", "scope": strings.Join(p.cfg.Scopes, ","),
	}
}

// controlApp does what happens to an application in its life.
func (p *Portal) controlApp(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Do      string `json:"do"`
		URL     string `json:"url"`
		Version string `json:"version"`
		Clean   bool   `json:"clean"`
		Status  string `json:"status"`
		Days    int    `json:"days"`
		Expired bool   `json:"expired"`
	}
	if err := decodeStrict(r, &want); err != nil {
		complain(w, http.StatusBadRequest, "want {\"do\": \"install\", \"url\": …}: "+err.Error())
		return
	}
	switch want.Do {
	case "install":
		p.InstallApp(want.URL)
	case "update":
		p.UpdateApp(cmp.Or(want.Version, "2"))
	case "uninstall":
		p.UninstallApp(want.Clean)
	case "payment":
		p.AppPayment(cmp.Or(want.Status, "P"), want.Days, want.Expired)
	case "expire":
		p.ExpireTokens()
	default:
		complain(w, http.StatusBadRequest, fmt.Sprintf("do %q: want install, update, uninstall, payment or expire", want.Do))
		return
	}
	reply(w, http.StatusOK, p.appKeys())
}

func decodeStrict(r *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func (p *Portal) controlWebhooks(w http.ResponseWriter, r *http.Request) {
	var want struct {
		URL    string   `json:"url"`
		Events []string `json:"events"`
	}
	if err := decodeStrict(r, &want); err != nil {
		complain(w, http.StatusBadRequest, "want {\"url\": …, \"events\": […]}: "+err.Error())
		return
	}
	if want.URL == "" || len(want.Events) == 0 {
		complain(w, http.StatusBadRequest, "want a url and at least one event")
		return
	}
	for _, code := range want.Events {
		if err := webhookEvent(code); err != nil {
			complain(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	reply(w, http.StatusOK, map[string]string{"application_token": p.AddWebhook(want.URL, want.Events...)})
}

// controlFaults sets the faults of a body in JSON or YAML.
func (p *Portal) controlFaults(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		complain(w, http.StatusBadRequest, "cannot read the faults: "+err.Error())
		return
	}
	faults, wrong := ParseFaults("faults", raw)
	if wrong.HasErrors() {
		complain(w, http.StatusBadRequest, wrong.Err().Error())
		return
	}
	p.faults.set(faults)
	reply(w, http.StatusOK, p.Faults())
}

// webhookEvent checks that a person could choose an event in an outbound
// webhook.
func webhookEvent(code string) error {
	e, _, ok := schemas.LookupEvent(code)
	switch {
	case !ok:
		return fmt.Errorf("unknown event %q", code)
	case e.AppOnly:
		return fmt.Errorf("event %s can only be bound by an application, with event.bind", e.Code)
	}
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // the client may be gone
}

func complain(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}
