package emulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/schemas"
)

// control answers the requests to the emulator itself.
type control struct{ p *Portal }

// serve answers under /_emulator/: what a test or a demo asks of the emulator
// itself. It is not a part of any portal and asks for no credentials.
func (c control) serve(w http.ResponseWriter, r *http.Request, path string) {
	p := c.p
	if actor, name, ok := strings.Cut(path, "/"); ok && r.Method == http.MethodPost && (actor == "person" || actor == "robot") {
		c.act(w, r, actor, name)
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
		reply(w, http.StatusOK, c.appKeys())
	case "POST app":
		c.app(w, r)
	case "POST reset":
		p.Reset()
		reply(w, http.StatusOK, map[string]bool{"reset": true})
	case "POST webhooks":
		c.webhooks(w, r)
	case "POST robots":
		c.robots(w, r)
	case "GET other":
		reply(w, http.StatusOK, p.OtherRequests())
	case "POST other":
		c.otherReplies(w, r)
	case "POST answers":
		c.answers(w, r)
	case "GET faults":
		reply(w, http.StatusOK, p.Faults())
	case "POST faults":
		c.faults(w, r)
	case "DELETE faults":
		p.server.faults.Arm(nil)
		reply(w, http.StatusOK, p.Faults())
	default:
		complain(w, http.StatusNotFound, "want GET stats, calls, history, app, other or faults, POST reset, webhooks, robots, other, answers, app, faults, person/METHOD or robot/METHOD, or DELETE faults")
	}
}

// act runs a method as what happens inside the portal: what its users do with
// its pages, or an automation rule, which has no user. It is no REST call, so
// no limit and no fault applies, and no journal keeps it but the
// history of changes. Its events are sent.
func (c control) act(w http.ResponseWriter, r *http.Request, actor, name string) {
	p := c.p
	p.server.seeHost(r.Host)
	req := &exchange{Request: &rest.Request{Ctx: r.Context(), Params: rest.DecodeRequest(r), User: p.user.ID, Inside: true, By: rest.Origin{Hops: rest.FirstHops}}}
	if actor == "person" {
		req.By.User = req.User
	}
	a := &rest.Answer{}
	switch m, err := p.server.find(name); {
	case err != nil:
		a.Err = err
	case m.App:
		a.Err = rest.FailStatus(http.StatusForbidden, "WRONG_AUTH_TYPE", "Application context required")
	case m.Name == rest.BatchMethod:
		a = p.server.runBatch(req)
	default:
		a = p.server.run(req, m, req.Params, nil)
	}
	rest.WriteJSON(w, a.Status(), a.Body())
	p.events.Dispatch(req.Raised)
}

// appKeys are what an application's developer knows of it, with tokens of the
// administrator that are new each time.
func (c control) appKeys() map[string]string {
	p := c.p
	t, _ := p.App().Authorize(p.user.ID) // without an installation there are none
	p.mu.Lock()
	defer p.mu.Unlock()
	return map[string]string{
		"client_id": p.app.ClientID, "client_secret": p.app.ClientSecret, "access_token": t.Access, "refresh_token": t.Refresh,
		"application_token": p.app.Token, "member_id": p.app.MemberID, "client_endpoint": p.address.Endpoint(),
		"server_endpoint": p.address.Endpoint(), "scope": strings.Join(p.cfg.Scopes, ","),
	}
}

// app does what happens to an application in its life.
func (c control) app(w http.ResponseWriter, r *http.Request) {
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
	a := c.p.App()
	switch want.Do {
	case "install":
		a.Install(want.URL)
	case "update":
		a.Update(cmp.Or(want.Version, "2"))
	case "uninstall":
		a.Uninstall(want.Clean)
	case "payment":
		a.Payment(cmp.Or(want.Status, "P"), want.Days, want.Expired)
	case "expire":
		a.ExpireTokens()
	default:
		complain(w, http.StatusBadRequest, fmt.Sprintf("do %q: want install, update, uninstall, payment or expire", want.Do))
		return
	}
	reply(w, http.StatusOK, c.appKeys())
}

func decodeStrict(r *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// robots puts a robot on a stage, or makes one of an item call at once.
func (c control) robots(w http.ResponseWriter, r *http.Request) {
	var want struct {
		URL          string `json:"url"`
		EntityTypeID int    `json:"entityTypeId"`
		ID           int64  `json:"id"`
		Stage        string `json:"stage"`
	}
	const example = `want {"url": …, "entityTypeId": 2, "id": 12} or {"url": …, "entityTypeId": 2, "stage": "WON"}: `
	err := decodeStrict(r, &want)
	switch {
	case err != nil:
	case (want.ID == 0) == (want.Stage == ""):
		err = errors.New("one of id and stage")
	case want.ID != 0:
		err = c.p.CallRobot(want.URL, want.EntityTypeID, want.ID)
	default:
		err = c.p.AddRobot(want.URL, want.EntityTypeID, want.Stage)
	}
	if err != nil {
		complain(w, http.StatusBadRequest, example+err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]bool{"robot": true})
}

// otherReplies sets what the other systems answer: a reply or a list of replies.
func (c control) otherReplies(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	err := decodeStrict(r, &raw)
	var replies []Reply
	if err == nil {
		if raw[0] == '{' {
			raw = append(append(json.RawMessage("["), raw...), ']')
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		err = dec.Decode(&replies)
	}
	if err == nil {
		err = c.p.SetReplies(replies...)
	}
	if err != nil {
		complain(w, http.StatusBadRequest, `want {"method": "POST", "path": "/stock", "status": 200, "json": {…}} or a list: `+err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]int{"replies": len(replies)})
}

func (c control) webhooks(w http.ResponseWriter, r *http.Request) {
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
	reply(w, http.StatusOK, map[string]string{"application_token": c.p.AddWebhook(want.URL, want.Events...)})
}

// faults sets the faults of a body in JSON or YAML.
func (c control) faults(w http.ResponseWriter, r *http.Request) {
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
	c.p.server.faults.Arm(faults)
	reply(w, http.StatusOK, c.p.Faults())
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
