package bitrix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/internal/redact"
)

// Codes of errors of the authorization.
const (
	CodeNotInstalled = "APPLICATION_NOT_INSTALLED" // ours: there are no tokens yet
	CodeTokensLost   = "TOKENS_LOST"               // ours: the refresh token is no longer taken
	codeNotRenewed   = "TOKENS_NOT_RENEWED"        // ours: the token server refuses the application
	codeExpired      = "EXPIRED_TOKEN"
	codeInvalid      = "INVALID_TOKEN"
)

const (
	// tokenTimeout is how long the renewal of tokens may take.
	tokenTimeout = 20 * time.Second
	// comeBack is when callers that found no tokens ask again.
	comeBack = time.Minute
	// lostFor is how long a refresh token that was refused is not sent again.
	lostFor = 10 * time.Minute
	// maxTokenAnswer is how many bytes the token server may answer.
	maxTokenAnswer = 1 << 20
)

// authority knows the tokens of one portal and renews them. Of many callers
// whose token has expired, one renews it.
type authority struct {
	cfg  OAuth
	http *http.Client
	log  *slog.Logger
	// redactor hides the secret of the application and its tokens.
	redactor *redact.Redactor

	turn chan struct{} // held by the one who loads or renews

	mu      sync.Mutex
	current Tokens
	// unsaved are tokens that could not be kept: they are not used before they
	// are stored, and no second renewal is asked for until then.
	unsaved *Tokens
	// lost is the refresh token that was refused last, and when.
	lost   Secret
	lostAt time.Time
}

func newAuthority(cfg OAuth, h *http.Client, log *slog.Logger) *authority {
	if cfg.TokenURL == "" {
		cfg.TokenURL = DefaultTokenURL
	}
	r := redact.New(cfg.ClientSecret.Reveal())
	return &authority{cfg: cfg, http: h, log: log, redactor: r, turn: make(chan struct{}, 1)}
}

// now returns the tokens to use.
func (a *authority) now(ctx context.Context) (Tokens, *Error) {
	a.mu.Lock()
	t := a.current
	a.mu.Unlock()
	if t.Access != "" {
		return t, nil
	}
	return a.reload(ctx)
}

// reload reads the tokens from their store, as after an installation.
func (a *authority) reload(ctx context.Context) (Tokens, *Error) {
	t, err := a.cfg.Store.Load(ctx)
	if err != nil {
		return Tokens{}, storeError(err)
	}
	if t.Access == "" {
		return Tokens{}, notInstalled()
	}
	a.use(t)
	return t, nil
}

func (a *authority) use(t Tokens) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.current; old.Access != t.Access && t.Access != "" {
		a.redactor.Set("tokens", t.Access.Reveal(), t.Refresh.Reveal(), t.Application.Reveal(), old.Access.Reveal(), old.Refresh.Reveal())
	}
	a.current = t
}

// forget makes the next call read the tokens from their store.
func (a *authority) forget() { a.use(Tokens{}) }

func notInstalled() *Error {
	return &Error{
		Code: CodeNotInstalled, Outcome: NotExecuted, passing: true, NotBefore: time.Now().Add(comeBack),
		Detail: "the application has no tokens for this portal: install it, with the address of our hook as the path of its first installation",
	}
}

func storeError(err error) *Error {
	return &Error{Code: CodeNetwork, Detail: "the tokens cannot be read or kept: " + err.Error(), Outcome: NotExecuted, cause: err}
}

// renew replaces an access token that the portal no longer takes and returns
// its successor. It asks the token server only when no other caller or process has done so.
func (a *authority) renew(ctx context.Context, used Secret) (Tokens, *Error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return Tokens{}, callerGaveUp(ctx.Err())
	}
	defer func() { <-a.turn }()
	a.mu.Lock()
	t := a.current
	a.mu.Unlock()
	if t.Access != "" && t.Access != used {
		return t, nil
	}
	var renewed Tokens
	err := a.cfg.Store.Update(ctx, func(ctx context.Context, stored Tokens) (Tokens, error) {
		var err error
		renewed, err = a.successor(ctx, stored, used)
		return renewed, err
	})
	var fault *Error
	switch {
	case errors.As(err, &fault):
		return Tokens{}, fault
	case err != nil:
		return Tokens{}, storeError(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.unsaved = renewed, nil
	return renewed, nil
}

// successor returns the tokens that come after the used one: those that another
// process has stored, those that could not be stored before, or new ones.
func (a *authority) successor(ctx context.Context, stored Tokens, used Secret) (Tokens, error) {
	switch {
	case stored.Access == "":
		a.forget()
		return Tokens{}, notInstalled()
	case stored.Access != used:
		return stored, nil
	}
	a.mu.Lock()
	unsaved, refused := a.unsaved, a.lost == stored.Refresh && a.lost != "" && time.Since(a.lostAt) < lostFor
	until := a.lostAt.Add(lostFor)
	a.mu.Unlock()
	switch {
	case unsaved != nil && unsaved.MemberID == stored.MemberID:
		return *unsaved, nil
	case refused:
		return Tokens{}, tokensLost("", until)
	}
	renewed, fault := a.ask(ctx, stored)
	a.mu.Lock()
	defer a.mu.Unlock()
	if fault != nil {
		if fault.Code == CodeTokensLost {
			a.lost, a.lostAt = stored.Refresh, time.Now()
			fault.NotBefore = a.lostAt.Add(lostFor)
			a.log.Error("the refresh token is no longer taken: install the application again", "error", fault.Detail)
		}
		return Tokens{}, fault
	}
	a.unsaved = &renewed
	if renewed.Endpoint != stored.Endpoint {
		a.log.Warn("the portal's address has changed", "from", stored.Endpoint, "to", renewed.Endpoint)
	}
	a.log.Info("tokens renewed")
	return renewed, nil
}

func tokensLost(code string, until time.Time) *Error {
	detail := "the portal's refresh token is no longer taken, so the application must be installed again"
	if code != "" {
		detail += " (" + code + ")"
	}
	return &Error{Code: CodeTokensLost, Detail: detail, Outcome: NotExecuted, passing: true, NotBefore: until}
}

// notRenewed says that the token server refuses the application and not these tokens.
func notRenewed(detail string) *Error {
	return &Error{Code: codeNotRenewed, Detail: detail, Outcome: NotExecuted, passing: true, NotBefore: time.Now().Add(lostFor)}
}

// askAgain lets the next renewal send a refresh token that was refused.
func (a *authority) askAgain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = ""
}

// ask renews tokens at the token server. The parameters travel in a form, so
// that no log of a server or a proxy has them in an address.
func (a *authority) ask(ctx context.Context, old Tokens) (Tokens, *Error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	form := url.Values{
		"grant_type": {"refresh_token"}, "client_id": {a.cfg.ClientID},
		"client_secret": {a.cfg.ClientSecret.Reveal()}, "refresh_token": {old.Refresh.Reveal()},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Tokens{}, &Error{Code: codeArgument, Detail: "the token server's address cannot be used", Outcome: NotExecuted}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return Tokens{}, tokenServer("did not answer")
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer))
	if err != nil {
		return Tokens{}, tokenServer("broke off")
	}
	return readRenewal(resp.StatusCode, data, old)
}

// tokenServer is a failure that passes. Nothing of the exchange is repeated in
// it: the request has three secrets.
func tokenServer(what string) *Error {
	return &Error{Code: CodeNetwork, Detail: "the token server " + what, Outcome: NotExecuted}
}

// readRenewal reads the token server's answer. An error may come with status
// 200, without a description (wrong_client).
func readRenewal(status int, data []byte, old Tokens) (Tokens, *Error) {
	var raw struct {
		Access   string          `json:"access_token"`
		Refresh  string          `json:"refresh_token"`
		Endpoint string          `json:"client_endpoint"`
		MemberID string          `json:"member_id"`
		Error    json.RawMessage `json:"error"`
	}
	if json.Unmarshal(bytes.TrimPrefix(data, []byte(byteOrderMark)), &raw) != nil {
		return Tokens{}, tokenServer("answered what is no JSON")
	}
	switch code := strings.ToLower(wire.Text(raw.Error)); {
	case code == "invalid_grant" || code == "bad_verification_code" || code == "not_installed":
		return Tokens{}, tokensLost(code, time.Time{})
	case code == "invalid_client" || code == "wrong_client":
		return Tokens{}, notRenewed("the token server does not know this client_id with this client_secret (" + code + ")")
	case code == "payment_required" || code == "insufficient_scope" || code == "invalid_scope" || code == "invalid_request":
		return Tokens{}, notRenewed("the token server refused to renew the tokens (" + code + ")")
	case code != "" && code != "false" && code != "0":
		return Tokens{}, tokenServer("answered an error that is not documented")
	case status < 200 || status > 299 || raw.Access == "" || raw.Refresh == "":
		return Tokens{}, tokenServer("answered without tokens")
	case raw.MemberID != "" && old.MemberID != "" && raw.MemberID != old.MemberID:
		return Tokens{}, &Error{Code: CodeBadAnswer, Detail: "the token server answered for another portal", Outcome: NotExecuted}
	}
	renewed := old
	renewed.Access, renewed.Refresh, renewed.Changed = Secret(raw.Access), Secret(raw.Refresh), time.Now()
	if raw.Endpoint != "" {
		endpoint, err := CheckEndpoint(raw.Endpoint)
		if err != nil {
			return Tokens{}, &Error{Code: CodeBadAnswer, Detail: "the token server named no endpoint: " + err.Error(), Outcome: NotExecuted}
		}
		if strings.HasPrefix(old.Endpoint, "https:") && !strings.HasPrefix(endpoint, "https:") {
			return Tokens{}, &Error{Code: CodeBadAnswer, Detail: "the token server named an endpoint without TLS", Outcome: NotExecuted}
		}
		renewed.Endpoint = endpoint
	}
	return renewed, nil
}

// sign adds the authorization to the body of a request, a JSON object. It is
// not in the address, which servers log.
func (a *authority) sign(body []byte, t Tokens) []byte {
	auth := map[string]string{"auth": t.Access.Reveal()}
	a.mu.Lock()
	connector := a.cfg.Connector
	a.mu.Unlock()
	if connector != "" && !bytes.Contains(body, []byte(`"auth_connector"`)) { // the key must not be there twice
		auth["auth_connector"] = connector
	}
	head, err := json.Marshal(auth)
	rest := bytes.TrimPrefix(body, []byte("{"))
	if err != nil || len(rest) == len(body) {
		return body // neither can happen; the portal will say that it lacks a token
	}
	out := make([]byte, 0, len(head)+len(body))
	out = append(out, head[:len(head)-1]...)
	if !bytes.Equal(rest, []byte("}")) {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// Reauthorize makes the next call read the tokens from their store again, as
// after an installation. It does nothing for a webhook.
func (c *Client) Reauthorize() {
	if c.transport.auth != nil {
		c.transport.auth.forget()
	}
}

// Lost reports whether the refresh token is no longer taken, so that nothing
// works until somebody brings new tokens.
func (c *Client) Lost() bool {
	if c.transport.auth == nil {
		return false
	}
	c.transport.auth.mu.Lock()
	defer c.transport.auth.mu.Unlock()
	return c.transport.auth.lost != "" && c.transport.auth.lost == c.transport.auth.current.Refresh
}
