package service_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/service"
)

// noSecrets looks for secrets of the application in the log.
func (h *harness) noSecrets() {
	h.T.Helper()
	stored, err := service.TokensOf(h.Service.Queue(), demo.PortalName, nil).Load(h.Context())
	if err != nil {
		h.T.Fatal(err)
	}
	for name, secret := range map[string]string{
		"access token": stored.Access.Reveal(), "refresh token": stored.Refresh.Reveal(),
		"application token": stored.Application.Reveal(), "client secret": h.Portal.App().ClientSecret(),
	} {
		if secret == "" || h.Logged(secret) > 0 {
			h.T.Errorf("the %s is %q in the store, and %d times in the log", name, secret[:min(4, len(secret))], h.Logged(secret))
		}
	}
}

func TestApplicationOnline(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "online", emulator.Config{})
	deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"))
	apptest.WantNames(t, h.Elements(deal), "Tiles × 3")

	// Of many runs that find the token expired, one renews it.
	before := h.tokenRequests()
	h.Portal.App().ExpireTokens()
	var deals []int
	for i := range 20 {
		id, err := h.People.AddDeal(h.Context(), fmt.Sprint("Deal ", i), row("Nails", "1", "5"))
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, id)
	}
	h.Wait()
	for _, id := range deals {
		apptest.WantNames(t, h.Elements(id), "Nails × 5")
	}
	if n := h.tokenRequests() - before; n != 1 {
		t.Errorf("%d renewals, want 1", n)
	}

	// The renewed tokens outlive the process.
	h.Stop()
	h.Start()
	h.Portal.App().ExpireTokens()
	apptest.WantNames(t, h.Elements(h.AddDeal("Shed", row("Work", "1", "1"))), "Work × 1")
	if n := h.tokenRequests() - before; n != 2 {
		t.Errorf("%d renewals, want 2", n)
	}

	// Another version has another token for its events, and nothing bound.
	bound := h.Logged("events bound")
	h.Portal.App().Update("2")
	h.Until("events bound anew", func() bool { return h.Logged("events bound") > bound })
	apptest.WantNames(t, h.Elements(h.AddDeal("Fence", row("Posts", "1", "9"))), "Posts × 9")
	h.noSecrets()

	h.Portal.App().Uninstall(false)
	h.Wait()
	h.Until("told that it is uninstalled", func() bool { return h.Logged("uninstalled") == 1 })
	stored, err := service.TokensOf(h.Service.Queue(), demo.PortalName, nil).Load(h.Context())
	if err != nil || stored != (bitrix.Tokens{}) {
		t.Errorf("after the end of the application there are tokens: %v, %v", stored, err)
	}
}

func (h *harness) tokenRequests() int {
	n := 0
	for _, c := range h.Portal.Calls() {
		if c.Method == "oauth.token" {
			n++
		}
	}
	return n
}

func TestForgedInstallations(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "online", emulator.Config{})
	user := h.Portal.AddUser(emulator.User{Name: "Ivan", NotAdmin: true})
	his, err := h.Portal.App().Authorize(user)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := h.Portal.App().Authorize(1)
	if err != nil {
		t.Fatal(err)
	}
	before, err := service.TokensOf(h.Service.Queue(), demo.PortalName, nil).Load(h.Context())
	if err != nil {
		t.Fatal(err)
	}
	form := func(access, refresh, endpoint string) string {
		return url.Values{
			"event": {"ONAPPINSTALL"}, "auth[access_token]": {access}, "auth[refresh_token]": {refresh},
			"auth[client_endpoint]": {endpoint}, "auth[application_token]": {"mine"}, "auth[member_id]": {h.Portal.App().MemberID()},
		}.Encode()
	}
	here := h.PortalURL + "/rest/"
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"invented tokens":                {form("a", "b", here), 403},
		"no tokens":                      {form("", "", here), 403},
		"another portal":                 {form(admin.Access, admin.Refresh, "https://evil.bitrix24.com/rest/"), 403},
		"another portal, look-alike":     {form(admin.Access, admin.Refresh, h.PortalURL+".evil.example/rest/"), 403},
		"a user who is no administrator": {form(his.Access, his.Refresh, here), 403},
	} {
		if got := h.Post(h.HookURL, "application/x-www-form-urlencoded", tt.body); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	after, err := service.TokensOf(h.Service.Queue(), demo.PortalName, nil).Load(h.Context())
	if err != nil || after.Application != before.Application || after.Access != before.Access {
		t.Errorf("a forged installation has changed the tokens (%v)", err)
	}
	// Somebody who posts on and on does not make us ask on and on.
	asked := len(h.Portal.Calls())
	for range 30 {
		h.Post(h.HookURL, "application/x-www-form-urlencoded", form("a", "b", here))
	}
	if n := len(h.Portal.Calls()) - asked; n > 3*service.ChecksPerMinute {
		t.Errorf("30 forged installations made us ask %d times", n)
	}
	// The portal has another address, so its installation is still checked. Nothing that
	// strangers send is more than a warning.
	if n := h.Logged("level=ERROR"); n > 0 {
		t.Errorf("forged installations caused %d errors in the log", n)
	}
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.HookURL, strings.NewReader(form(admin.Access, admin.Refresh, here)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", "198.51.100.1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the installation of the portal is answered %d after forged ones", resp.StatusCode)
	}
	if h.Logged(his.Access)+h.Logged(admin.Refresh) > 0 {
		t.Error("the log tells tokens of strangers")
	}
}

// offlineLeft returns what the portal keeps for the application.
func (h *harness) offlineLeft() []string {
	h.T.Helper()
	var rows []struct {
		Name string `json:"EVENT_NAME"`
	}
	h.AsApp("event.offline.list", map[string]any{"auth_connector": config.DefaultConnector, "order": map[string]any{"ID": "DESC"}}, &rows)
	var out []string
	for _, r := range rows {
		out = append(out, r.Name)
	}
	return out
}

func TestApplicationOffline(t *testing.T) {
	t.Parallel()
	h := newApplicationHarness(t, "offline", emulator.Config{})
	deal := h.AddDeal("Roof", row("Tiles", "33.33", "3"))
	h.Until("the list has followed", func() bool { h.Wait(); return len(h.Elements(deal)) == 1 })

	// The portal keeps the events of changes while the engine is stopped.
	h.Stop()
	var deals []int
	for i := range 70 { // more than one batch
		id, err := h.People.AddDeal(h.Context(), fmt.Sprint("Deal ", i), row("Nails", "1", "5"))
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, id)
	}
	if err := h.People.DeleteDeal(h.Context(), deal); err != nil {
		t.Fatal(err)
	}
	if left := h.offlineLeft(); !slices.Contains(left, "ONCRMDEALDELETE") || len(left) != 50 {
		t.Fatalf("the portal keeps %d events on the first page, want 50 with a deletion", len(left))
	}
	// A process takes a batch and is killed before it has stored it.
	h.AsApp("event.offline.get", map[string]any{"clear": 0, "auth_connector": config.DefaultConnector}, nil)
	h.Start()
	h.Until("all events are processed", func() bool {
		h.Wait()
		return len(h.offlineLeft()) == 0 && len(h.Elements(deal)) == 0
	})
	h.Wait()
	for _, id := range deals {
		apptest.WantNames(t, h.Elements(id), "Nails × 5")
	}
	if h.Logged("offline events that a stopped process had reserved") != 1 {
		t.Error("the log does not name the batch that was left")
	}

	// The confirmation is lost: the batch is stored twice, which does no harm.
	if err := h.Portal.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "ACCESS_DENIED", Method: "event.offline.clear", Count: 1}); err != nil {
		t.Fatal(err)
	}
	id, err := h.People.AddDeal(h.Context(), "Fence", row("Posts", "1", "9"))
	if err != nil {
		t.Fatal(err)
	}
	h.Until("confirmed in the end", func() bool { h.Wait(); return len(h.offlineLeft()) == 0 && len(h.Elements(id)) == 1 })
	h.noSecrets()
}

func TestOfflineEventsWantAPlan(t *testing.T) {
	t.Parallel()
	h := newHarness(t, apptest.Options{Application: "offline", Emulator: emulator.Config{NoOfflineExtended: true}})
	h.Portal.App().Install(h.HookURL)
	h.Wait()
	h.Until("told what the plan lacks", func() bool { return h.Logged(bitrix.FeatureOffline) > 0 })
	if status := h.Post(h.HookURL, "application/x-www-form-urlencoded", "event=ONOFFLINEEVENT&auth[application_token]=wrong"); status != http.StatusForbidden {
		t.Errorf("a forged notice gives status %d", status)
	}
}
