package emulator

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// authorization is the authorization server of the application. In reality it is not a
// part of a portal.
type authorization struct{ p *Portal }

// authorizePage is /oauth/authorize/: where an application sends a user. It
// asks no one and redirects back with a code at once. Whom it
// is for can be said with user_id, which is the emulator's own; without it it
// is the administrator.
// https://apidocs.bitrix24.com/settings/oauth/index.html
func (a authorization) authorizePage(w http.ResponseWriter, r *http.Request) {
	p := a.p
	query := r.URL.Query()
	user := p.user.ID
	if text := query.Get("user_id"); text != "" {
		user, _ = strconv.ParseInt(text, 10, 64) // 0 is no user
	}
	p.mu.Lock()
	known := query.Get("client_id") == p.app.ClientID && p.app.Installed && p.store.Users[user] != nil
	var code string
	if known {
		code = p.app.IssueCode(user)
	}
	domain := p.address.Domain()
	p.mu.Unlock()
	// The page shows an error to the user. The application receives nothing.
	if !known {
		showPage(w, http.StatusBadRequest, "The application is not installed.")
		return
	}
	back, err := url.Parse(p.cfg.RedirectURI)
	if err != nil || back.Host == "" { // without an address the user carries the code over
		showPage(w, http.StatusOK, "The code of the authorization: "+code)
		return
	}
	q := back.Query()
	for name, v := range map[string]string{
		"code": code, "state": query.Get("state"), "domain": domain, "member_id": p.app.MemberID,
		"scope": strings.Join(p.cfg.Scopes, ","), "server_domain": domain,
	} {
		q.Set(name, v)
	}
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func showPage(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<title>Bitrix24</title>\n<p>%s</p>\n", html.EscapeString(text))
}

// tokenEndpoint is /oauth/token/: tokens for a code, or new ones for a refresh
// token. In real life it is no part of a portal but the authorization server.
// https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
func (a authorization) tokenEndpoint(w http.ResponseWriter, r *http.Request) {
	p := a.p
	hit := p.server.faults.OnCommand(faults.TokenMethod)
	if f := p.server.faults.OnRequest(func() []string { return []string{faults.TokenMethod} }); f != nil {
		hit.Fault = f
	}
	if rest.Wait(r.Context(), hit.Before) != nil {
		return
	}
	f := hit.Fault
	switch {
	case f != nil && f.Kind == faults.Refuse:
		p.server.refuse(w, faults.TokenMethod, f.Refuses())
		return
	case f != nil && !f.Afterwards():
		p.server.cutOff(&exchange{Request: &rest.Request{}}, faults.TokenMethod, nil, f)
		faults.BreakOff(w, r, f, 0, nil)
		return
	}
	status, body := a.renew(r)
	_ = rest.Wait(r.Context(), hit.After) // the tokens are issued even if the client is gone
	if f != nil {
		faults.BreakOff(w, r, f, status, body)
		return
	}
	rest.WriteJSON(w, status, body)
}

// renew answers what the token endpoint is asked.
func (a authorization) renew(r *http.Request) (status int, body any) {
	p := a.p
	params := rest.DecodeRequest(r)
	get := func(name string) string { v, _ := params.Get(name); return value.Text(v) }
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := a.answerTokens(get)
	result := &rest.Answer{}
	if err != nil {
		result.Err, body = err, err.Body()
	}
	p.journal.Add(rest.NewRecord(faults.TokenMethod, params, result, false, time.Now()))
	return result.Status(), body
}

// answerTokens answers the request for tokens: new ones, or why not.
func (a authorization) answerTokens(get func(string) string) (any, *rest.Error) {
	p := a.p
	user, err := p.app.Redeem(get)
	if err != nil {
		return nil, err
	}
	t := p.app.Issue(user, rest.FirstHops)
	return value.Object(
		"access_token", t.Access, "client_endpoint", p.address.Endpoint(), "domain", p.address.Domain(),
		"expires", t.Expires.Unix(), "expires_in", int64(p.cfg.TokenLife.Seconds()), "member_id", p.app.MemberID,
		"refresh_token", t.Refresh, "scope", strings.Join(p.cfg.Scopes, ","),
		"server_endpoint", p.address.Endpoint(), "status", p.app.Status, "user_id", user,
	), nil
}
