package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
)

// newApplicationHarness is a harness whose engine is the portal's application,
// installed by the portal.
func newApplicationHarness(t *testing.T, kind string, e emulator.Config) *harness {
	t.Helper()
	h := newHarness(t, harnessOptions{application: kind, emulator: e})
	h.portal.InstallApp(h.hookURL)
	h.wait()
	h.until("events bound", func() bool { return h.logged("events bound") > 0 })
	return h
}

// until waits until something is so.
func (h *harness) until(what string, so func() bool) {
	h.t.Helper()
	for end := time.Now().Add(harnessPatience); !so(); {
		if time.Now().After(end) {
			h.t.Fatalf("not so after %s: %s", harnessPatience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *harness) logged(text string) int { return strings.Count(h.log.String(), text) }

// noSecrets looks for secrets of the application in the log.
func (h *harness) noSecrets() {
	h.t.Helper()
	stored, err := tokensOf(h.service.Queue(), stagePortal).Load(h.context())
	if err != nil {
		h.t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"access token": stored.Access.Reveal(), "refresh token": stored.Refresh.Reveal(),
		"application token": stored.Application.Reveal(), "client secret": h.portal.ClientSecret(),
	} {
		if secret == "" || h.logged(secret) > 0 {
			h.t.Errorf("the %s is %q in the store, and %d times in the log", name, secret[:min(4, len(secret))], h.logged(secret))
		}
	}
}

func TestApplicationOnline(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "online", emulator.Config{})
	deal := h.addDeal("Roof", row{"Tiles", "33.33", "3"})
	wantNames(t, h.elements(deal), "Tiles × 3")

	// Of many runs that find the token expired, one renews it.
	before := h.tokenRequests()
	h.portal.ExpireTokens()
	var deals []int
	for i := range 20 {
		id, err := h.people.addDeal(h.context(), fmt.Sprint("Deal ", i), row{"Nails", "1", "5"})
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, id)
	}
	h.wait()
	for _, id := range deals {
		wantNames(t, h.elements(id), "Nails × 5")
	}
	if n := h.tokenRequests() - before; n != 1 {
		t.Errorf("%d renewals, want 1", n)
	}

	// The renewed tokens outlive the process.
	h.stop()
	h.start()
	h.portal.ExpireTokens()
	wantNames(t, h.elements(h.addDeal("Shed", row{"Work", "1", "1"})), "Work × 1")
	if n := h.tokenRequests() - before; n != 2 {
		t.Errorf("%d renewals, want 2", n)
	}

	// Another version has another token for its events, and nothing bound.
	bound := h.logged("events bound")
	h.portal.UpdateApp("2")
	h.until("events bound anew", func() bool { return h.logged("events bound") > bound })
	wantNames(t, h.elements(h.addDeal("Fence", row{"Posts", "1", "9"})), "Posts × 9")
	h.noSecrets()

	h.portal.UninstallApp(false)
	h.wait()
	h.until("told that it is uninstalled", func() bool { return h.logged("uninstalled") == 1 })
	stored, err := tokensOf(h.service.Queue(), stagePortal).Load(h.context())
	if err != nil || stored != (bitrix.Tokens{}) {
		t.Errorf("after the end of the application there are tokens: %v, %v", stored, err)
	}
}

func (h *harness) tokenRequests() int {
	n := 0
	for _, c := range h.portal.Calls() {
		if c.Method == "oauth.token" {
			n++
		}
	}
	return n
}

func TestForgedInstallations(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "online", emulator.Config{})
	user := h.portal.AddUser(emulator.User{Name: "Ivan", NotAdmin: true})
	his, err := h.portal.Authorize(user)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := h.portal.Authorize(1)
	if err != nil {
		t.Fatal(err)
	}
	before, err := tokensOf(h.service.Queue(), stagePortal).Load(h.context())
	if err != nil {
		t.Fatal(err)
	}
	form := func(access, refresh, endpoint string) string {
		return url.Values{
			"event": {"ONAPPINSTALL"}, "auth[access_token]": {access}, "auth[refresh_token]": {refresh},
			"auth[client_endpoint]": {endpoint}, "auth[application_token]": {"mine"}, "auth[member_id]": {h.portal.MemberID()},
		}.Encode()
	}
	here := h.portalURL + "/rest/"
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"invented tokens":                {form("a", "b", here), 403},
		"no tokens":                      {form("", "", here), 403},
		"another portal":                 {form(admin.Access, admin.Refresh, "https://evil.bitrix24.com/rest/"), 403},
		"another portal, look-alike":     {form(admin.Access, admin.Refresh, h.portalURL+".evil.example/rest/"), 403},
		"a user who is no administrator": {form(his.Access, his.Refresh, here), 403},
	} {
		if got := h.post(h.hookURL, "application/x-www-form-urlencoded", tt.body); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	after, err := tokensOf(h.service.Queue(), stagePortal).Load(h.context())
	if err != nil || after.Application != before.Application || after.Access != before.Access {
		t.Errorf("a forged installation has changed the tokens (%v)", err)
	}
	// Somebody who posts on and on does not make us ask on and on.
	asked := len(h.portal.Calls())
	for range 30 {
		h.post(h.hookURL, "application/x-www-form-urlencoded", form("a", "b", here))
	}
	if n := len(h.portal.Calls()) - asked; n > 3*checksPerMinute {
		t.Errorf("30 forged installations made us ask %d times", n)
	}
	if h.logged(his.Access)+h.logged(admin.Refresh) > 0 {
		t.Error("the log tells tokens of strangers")
	}
}

// offlineLeft returns what the portal keeps for the application.
func (h *harness) offlineLeft() []string {
	h.t.Helper()
	var rows []struct {
		Name string `json:"EVENT_NAME"`
	}
	h.asApp("event.offline.list", map[string]any{"auth_connector": config.DefaultConnector, "order": map[string]any{"ID": "DESC"}}, &rows)
	var out []string
	for _, r := range rows {
		out = append(out, r.Name)
	}
	return out
}

// asApp calls a method with a token of the application.
func (h *harness) asApp(method string, params map[string]any, into any) {
	h.t.Helper()
	tokens, err := h.portal.Authorize(1)
	if err != nil {
		h.t.Fatal(err)
	}
	store := &fixedTokens{bitrix.Tokens{Access: bitrix.Secret(tokens.Access), Endpoint: h.portalURL + "/rest/"}}
	c, err := bitrix.NewClient(bitrix.Config{Plan: bitrix.PlanUnlimited, OAuth: &bitrix.OAuth{ClientID: "x", ClientSecret: "x", Store: store}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(h.context(), method, params, into); err != nil {
		h.t.Fatalf("%s: %v", method, err)
	}
}

func TestApplicationOffline(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "offline", emulator.Config{})
	deal := h.addDeal("Roof", row{"Tiles", "33.33", "3"})
	h.until("the list has followed", func() bool { h.wait(); return len(h.elements(deal)) == 1 })

	// What changes while nobody is there is kept by the portal.
	h.stop()
	var deals []int
	for i := range 70 { // more than one batch
		id, err := h.people.addDeal(h.context(), fmt.Sprint("Deal ", i), row{"Nails", "1", "5"})
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, id)
	}
	if err := h.people.deleteDeal(h.context(), deal); err != nil {
		t.Fatal(err)
	}
	if left := h.offlineLeft(); !slices.Contains(left, "ONCRMDEALDELETE") || len(left) != 50 {
		t.Fatalf("the portal keeps %d events on the first page, want 50 with a deletion", len(left))
	}
	// A process takes a batch and is killed before it has stored it.
	h.asApp("event.offline.get", map[string]any{"clear": 0, "auth_connector": config.DefaultConnector}, nil)
	h.start()
	h.until("everything is worked off", func() bool {
		h.wait()
		return len(h.offlineLeft()) == 0 && len(h.elements(deal)) == 0
	})
	h.wait()
	for _, id := range deals {
		wantNames(t, h.elements(id), "Nails × 5")
	}
	if h.logged("of a process that has ended") != 1 {
		t.Error("the log does not tell of the batch that was left")
	}

	// The confirmation is lost: the batch is stored twice, which does no harm.
	if err := h.portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Method: "event.offline.clear", Count: 1}); err != nil {
		t.Fatal(err)
	}
	id, err := h.people.addDeal(h.context(), "Fence", row{"Posts", "1", "9"})
	if err != nil {
		t.Fatal(err)
	}
	h.until("confirmed in the end", func() bool { h.wait(); return len(h.offlineLeft()) == 0 && len(h.elements(id)) == 1 })
	h.noSecrets()
}

func TestOfflineEventsWantAPlan(t *testing.T) {
	t.Parallel()
	h := newHarness(t, harnessOptions{application: "offline", emulator: emulator.Config{NoOfflineExtended: true}})
	h.portal.InstallApp(h.hookURL)
	h.wait()
	h.until("told what the plan lacks", func() bool { return h.logged(bitrix.FeatureOffline) > 0 })
	if status := h.post(h.hookURL, "application/x-www-form-urlencoded", "event=ONOFFLINEEVENT&auth[application_token]=wrong"); status != http.StatusForbidden {
		t.Errorf("a forged notice gives status %d", status)
	}
}

// fixedTokens are tokens that nobody renews.
type fixedTokens struct{ t bitrix.Tokens }

func (f *fixedTokens) Load(context.Context) (bitrix.Tokens, error) { return f.t, nil }

func (f *fixedTokens) Update(context.Context, func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	return errors.New("not renewed")
}
