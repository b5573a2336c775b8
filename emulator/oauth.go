package emulator

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// authorizePage is /oauth/authorize/: where an application sends a user. There
// is nobody to ask, so the answer is at once the way back with a code. Whom it
// is for can be said with user_id, which is the emulator's own; without it it
// is the administrator.
// https://apidocs.bitrix24.com/settings/oauth/index.html
func (p *Portal) authorizePage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	user := p.user.ID
	if text := query.Get("user_id"); text != "" {
		user, _ = strconv.ParseInt(text, 10, 64) // 0 is nobody
	}
	p.mu.Lock()
	known := query.Get("client_id") == p.app.clientID && p.app.installed && p.store.Users[user] != nil
	var code string
	if known {
		p.app.issued++
		code = value.DeriveHex(p.cfg.Secret, fmt.Sprint("code ", p.app.issued), 32)
		p.app.codes[code] = grant{user: user, expires: time.Now().Add(codeLife)}
	}
	domain := p.domain()
	p.mu.Unlock()
	// What fails is shown to the user and never told to the application.
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
		"code": code, "state": query.Get("state"), "domain": domain, "member_id": p.app.memberID,
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
func (p *Portal) tokenEndpoint(w http.ResponseWriter, r *http.Request) {
	hit := p.faults.onCommand(tokenMethod)
	if f := p.faults.onRequest(func() []string { return []string{tokenMethod} }); f != nil {
		hit.fault = f
	}
	if wait(r.Context(), hit.before) != nil {
		return
	}
	f := hit.fault
	switch {
	case f != nil && f.Kind == FaultRefuse:
		p.refuse(w, tokenMethod, f.refuses())
		return
	case f != nil && !f.afterwards():
		p.cutOff(&request{}, tokenMethod, nil, f)
		p.breakOff(w, r, f, 0, nil)
		return
	}
	status, body := p.renew(r)
	_ = wait(r.Context(), hit.after) // the tokens are given, whoever still waits for them
	if f != nil {
		p.breakOff(w, r, f, status, body)
		return
	}
	writeJSON(w, status, body)
}

// renew answers what the token endpoint is asked.
func (p *Portal) renew(r *http.Request) (status int, body any) {
	params := decodeRequest(r)
	get := func(name string) string { v, _ := params.Get(name); return value.Text(v) }
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := p.grantTokens(get)
	a := &answer{}
	if err != nil {
		a.err, body = err, err.body()
	}
	p.journal.add(newRecord(tokenMethod, params, a, false, time.Now()))
	return a.status(), body
}

// grantTokens proves what the application brings and gives tokens for it. A
// code and a refresh token are good for once.
func (p *Portal) grantTokens(get func(string) string) (any, *restError) {
	kind, name, issued := get("grant_type"), "", map[string]grant(nil)
	switch kind {
	case "authorization_code":
		name, issued = "code", p.app.codes
	case "refresh_token":
		name, issued = "refresh_token", p.app.refresh
	}
	switch {
	case issued == nil || get("client_id") == "" || get(name) == "":
		return nil, refusalOf("invalid_request")
	case get("client_id") != p.app.clientID:
		// This one comes with the status of a success and without a text.
		return nil, failStatus(http.StatusOK, "wrong_client", "")
	case !sameSecret(get("client_secret"), p.app.clientSecret) || !p.app.installed:
		return nil, refusalOf("invalid_client")
	case p.app.expired:
		return nil, failStatus(http.StatusUnauthorized, "PAYMENT_REQUIRED", "Payment required")
	}
	g, ok := issued[get(name)]
	delete(issued, get(name))
	if !ok || time.Now().After(g.expires) {
		return nil, refusalOf("invalid_grant")
	}
	t := p.issue(g.user, firstHops)
	return value.Object(
		"access_token", t.Access, "client_endpoint", p.baseURL+"/rest/", "domain", p.domain(),
		"expires", t.Expires.Unix(), "expires_in", int64(p.cfg.TokenLife.Seconds()), "member_id", p.app.memberID,
		"refresh_token", t.Refresh, "scope", strings.Join(p.cfg.Scopes, ","),
		"server_endpoint", p.baseURL+"/rest/", "status", p.app.status, "user_id", g.user,
	), nil
}

// checkToken tells what is wrong with an access token.
func (p *Portal) checkToken(token string) (grant, *restError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.app.access[token]
	switch {
	case !p.app.installed && ok:
		return g, refusalOf("ERROR_OAUTH")
	case !ok:
		return g, refusalOf("invalid_token")
	case !time.Now().Before(g.expires):
		return g, refusalOf("expired_token")
	case p.app.expired:
		return g, refusalOf("PAYMENT_REQUIRED")
	}
	return g, nil
}

// domain is the portal's host. The lock is held.
func (p *Portal) domain() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.baseURL, "https://"), "http://")
}
