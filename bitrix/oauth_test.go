package bitrix_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

// site is a portal and its token server. It knows one access token and one
// refresh token, and tells every use of another.
type site struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	number   int // of the tokens that are taken
	renewals int
	calls    int
	refuse   string // what the token server answers instead
	kept     func(access string)
	last     map[string]any // the body of the last call
}

func newSite(t *testing.T) *site {
	s := &site{t: t, number: 1}
	mux := http.NewServeMux()
	mux.HandleFunc("/oauth/token/", s.renew)
	mux.HandleFunc("/rest/", s.call)
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) tokens(n int) bitrix.Tokens {
	return bitrix.Tokens{
		Access: bitrix.Secret(fmt.Sprintf("access-%d-secret", n)), Refresh: bitrix.Secret(fmt.Sprintf("refresh-%d-secret", n)),
		Endpoint: s.server.URL + "/rest/", MemberID: "member",
	}
}

func (s *site) renew(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewals++
	_ = r.ParseForm()
	if r.URL.RawQuery != "" || r.PostForm.Get("client_secret") != "client-secret" || r.PostForm.Get("grant_type") != "refresh_token" {
		s.t.Errorf("the token server got query %q and form keys %d", r.URL.RawQuery, len(r.PostForm))
	}
	if s.refuse != "" {
		fmt.Fprintf(w, `{"error": %q}`, s.refuse)
		return
	}
	if got := r.PostForm.Get("refresh_token"); got != s.tokens(s.number).Refresh.Reveal() {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "Invalid grant"}`)
		return
	}
	s.number++
	t := s.tokens(s.number)
	fmt.Fprintf(w, `{"access_token": %q, "refresh_token": %q, "client_endpoint": %q, "member_id": "member", "expires_in": 3600}`,
		t.Access.Reveal(), t.Refresh.Reveal(), t.Endpoint)
}

func (s *site) call(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Errorf("the portal got no JSON: %v", err)
	}
	if r.URL.RawQuery != "" {
		s.t.Errorf("the portal got query %q: servers keep logs of it", r.URL.RawQuery)
	}
	s.last = body
	auth, _ := body["auth"].(string)
	if s.kept != nil {
		s.kept(auth)
	}
	if auth != s.tokens(s.number).Access.Reveal() {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error": "expired_token", "error_description": "The access token %s has expired."}`, auth)
		return
	}
	fmt.Fprint(w, `{"result": true, "time": []}`)
}

func (s *site) count() (renewals, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewals, s.calls
}

// keep is a token store that can fail.
type keep struct {
	mu   sync.Mutex
	turn sync.Mutex
	data []byte
	fail error
}

func (m *keep) Load(context.Context) (bitrix.Tokens, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bitrix.ReadTokens(m.data)
}

func (m *keep) Update(ctx context.Context, change func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	old, err := m.Load(ctx)
	if err != nil {
		return err
	}
	t, err := change(ctx, old)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.data = t.Reveal()
	return nil
}

func appClient(t *testing.T, s *site, store bitrix.TokenStore, log *slog.Logger) *bitrix.Client {
	c, err := bitrix.NewClient(bitrix.Config{Plan: bitrix.PlanUnlimited, Log: log, OAuth: &bitrix.OAuth{
		ClientID: "app", ClientSecret: "client-secret", TokenURL: s.server.URL + "/oauth/token/", Connector: "b24rules", Store: store,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAnExpiredTokenIsRenewedOnceForAll(t *testing.T) {
	s := newSite(t)
	store := &keep{data: s.tokens(0).Reveal()}
	s.number = 0
	c := appClient(t, s, store, nil)
	if err := c.Call(t.Context(), "scope", nil, nil); err != nil {
		t.Fatal(err)
	}
	if renewals, _ := s.count(); renewals != 0 {
		t.Fatalf("%d renewals while the token was good, want none", renewals)
	}
	// The portal stops taking the access token; the refresh token is still good.
	store.data = bitrix.Tokens{Access: "old", Refresh: s.tokens(0).Refresh, Endpoint: s.tokens(0).Endpoint, MemberID: "member"}.Reveal()
	c.Reauthorize()
	// Whatever the portal is called with must be on disk by then.
	s.kept = func(access string) {
		on, _ := store.Load(t.Context())
		if access != "old" && on.Access.Reveal() != access {
			t.Errorf("the portal was called with a token before it was kept")
		}
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			// Each alone, so that many requests are in progress at once.
			if err := c.Call(t.Context(), "crm.item.list", map[string]any{"x": true}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if renewals, _ := s.count(); renewals != 1 {
		t.Errorf("%d renewals, want one for all", renewals)
	}
	if s.last["auth_connector"] != "b24rules" || s.last["x"] != true {
		t.Errorf("the last call had the body %v", s.last)
	}
}

func TestTokensThatCouldNotBeKeptAreNotUsed(t *testing.T) {
	s := newSite(t)
	s.number = 0
	store := &keep{data: bitrix.Tokens{Access: "old", Refresh: s.tokens(0).Refresh, Endpoint: s.tokens(0).Endpoint, MemberID: "member"}.Reveal()}
	store.fail = errors.New("disk full")
	var seen []string
	s.kept = func(access string) { seen = append(seen, access) }
	c := appClient(t, s, store, nil)
	err := c.Call(t.Context(), "scope", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("error is %v, want the disk's", err)
	}
	var rest *bitrix.Error
	if !errors.As(err, &rest) || !rest.Temporary() || rest.Outcome != bitrix.NotExecuted {
		t.Errorf("error is %#v, want one that passes", err)
	}
	store.mu.Lock()
	store.fail = nil
	store.mu.Unlock()
	if err := c.Call(t.Context(), "scope", nil, nil); err != nil {
		t.Fatal(err)
	}
	// The refresh token of before is dead: asking again would have lost the chain.
	if renewals, _ := s.count(); renewals != 1 {
		t.Errorf("%d renewals, want the first one's tokens kept later", renewals)
	}
	for _, access := range seen[:len(seen)-1] {
		if access != "old" {
			t.Errorf("the portal was called with tokens that were not kept")
		}
	}
}

func TestAnotherProcessHasRenewed(t *testing.T) {
	s := newSite(t)
	store := &keep{data: s.tokens(0).Reveal()}
	s.number = 0
	c := appClient(t, s, store, nil)
	if err := c.Call(t.Context(), "scope", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.number = 1
	s.mu.Unlock()
	store.data = s.tokens(1).Reveal()
	if err := c.Call(t.Context(), "scope", nil, nil); err != nil {
		t.Fatal(err)
	}
	if renewals, _ := s.count(); renewals != 0 {
		t.Errorf("%d renewals, want the other process's tokens used", renewals)
	}
}

func TestALostChainIsReportedAndNotHammered(t *testing.T) {
	s := newSite(t)
	store := &keep{data: s.tokens(7).Reveal()}
	var text strings.Builder
	c := appClient(t, s, store, slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for range 5 {
		err := c.Call(t.Context(), "scope", nil, nil)
		if !bitrix.IsCode(err, bitrix.CodeTokensLost) || !strings.Contains(err.Error(), "install") {
			t.Fatalf("error is %v, want one that says what to do", err)
		}
		if strings.Contains(err.Error(), "-secret") {
			t.Errorf("error %q tells a token", err)
		}
	}
	if renewals, _ := s.count(); renewals != 1 {
		t.Errorf("%d renewals with a dead token, want one", renewals)
	}
	if strings.Contains(text.String(), "-secret") {
		t.Errorf("the log tells a token:\n%s", &text)
	}
	// A new installation heals it.
	store.mu.Lock()
	store.data = s.tokens(1).Reveal()
	store.mu.Unlock()
	c.Reauthorize()
	if err := c.Call(t.Context(), "scope", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestNoTokensYet(t *testing.T) {
	s := newSite(t)
	c := appClient(t, s, &keep{}, nil)
	err := c.Call(t.Context(), "scope", nil, nil)
	var rest *bitrix.Error
	if !errors.As(err, &rest) || rest.Code != bitrix.CodeNotInstalled || rest.NotBefore.IsZero() {
		t.Errorf("error is %#v, want %s with a time", err, bitrix.CodeNotInstalled)
	}
	if _, calls := s.count(); calls != 0 {
		t.Errorf("%d calls without a token", calls)
	}
}
