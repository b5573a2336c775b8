package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/store"
)

// patience is how long a test waits for the browser: what has not come by then will not come, on
// the busiest machine.
const patience = 3 * time.Minute

// step is one thing that a person does or sees.
type step func(ctx context.Context) error

// browser is a real browser. What a page complains of fails the test.
type browser struct {
	*world
	ctx context.Context
}

func (w *world) browser() *browser {
	w.t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			w.t.Fatal("CI has no browser")
		}
		w.t.Skip("no browser: install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1280, 800))
	ctx, cancel := chromedp.NewExecAllocator(w.t.Context(), options...)
	w.t.Cleanup(cancel)
	var mu sync.Mutex
	var complaints []string
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, event.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint("console ", event.Type))
		case *log.EventEntryAdded:
			if event.Entry.Source == "security" || strings.Contains(event.Entry.Text, "Content Security Policy") {
				complaints = append(complaints, event.Entry.Text)
			}
		}
	}))
	w.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*patience) // for all of the test
	w.t.Cleanup(cancel)
	w.t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			w.t.Errorf("a page: %s", c)
		}
	})
	return &browser{w, ctx}
}

func (b *browser) do(what string, steps ...step) {
	b.t.Helper()
	for _, one := range steps {
		err := one(b.ctx)
		if err == nil {
			continue
		}
		var body string
		if text, textErr := chromedp.Run(b.ctx, chromedp.Evaluate[string]("[document.title, location.href, document.activeElement.outerHTML, document.activeElement.value, document.body.innerText].join('\\n')")); textErr == nil {
			body = text
		}
		b.t.Fatalf("%s: %v\n%.2000s", what, err, body)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(b.url+path)); err != nil {
		b.t.Fatalf("open %s: %v", path, err)
	}
}

// until waits until an expression of the page is true. A page that is being left has no answer.
func until(expression string) step {
	return func(ctx context.Context) error {
		for end := time.Now().Add(patience / 3); ; { // what the page shows then is reported
			so, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
			if err == nil && so {
				return nil
			}
			if time.Now().After(end) || ctx.Err() != nil {
				return fmt.Errorf("not so: %s: %w", expression, errors.Join(err, ctx.Err()))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// shows waits until the page has a text.
func shows(text string) step {
	return until(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text))
}

// run evaluates an expression once the page is complete. It may lead to another page.
func run(expression string) step {
	return func(ctx context.Context) error {
		if err := until("document.readyState === 'complete'")(ctx); err != nil {
			return err
		}
		return chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](expression))
	}
}

// press sends a key to the page, as one event: of two, the page could not prevent the second one,
// which enters the letter.
func (b *browser) press(key string) {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key}
	switch key {
	case "Enter":
		down.Text, down.WindowsVirtualKeyCode = "\r", 13
	case "Tab":
		down.Text, down.WindowsVirtualKeyCode = "", 9
	}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	for _, event := range []input.DispatchKeyEventParams{down, up} {
		if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, event); err != nil {
			b.t.Fatalf("press %s: %v", key, err)
		}
	}
}

func (b *browser) light(dark bool, width int64) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		b.t.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, 800)); err != nil {
		b.t.Fatal(err)
	}
}

// signIn signs in with the form of the page.
func (b *browser) signIn(name, password string) {
	b.t.Helper()
	b.do("sign in", until("document.querySelector('[name=password]')"),
		run(fmt.Sprintf("document.querySelector('[name=name]').value = %q; document.querySelector('[name=password]').value = %q; document.querySelector('form.stack').submit()", name, password)))
}

// TestBrowserOnCall is the work of the person on call in a real browser: an alert's link, the
// sign-in, the cause, the run, a replay, and the live update without a reload.
func TestBrowserOnCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	run1 := w.fail("Roof " + script)
	b := w.browser()
	// The link of an alert, which asks to sign in, and leads on.
	b.open("/runs?state=parked&group=cause")
	b.signIn("oncall", "wrong password")
	b.do("the wrong password", shows("do not go together"))
	b.signIn("oncall", "correct horse")
	// Click 1: the newest run of the cause.
	b.do("the causes", shows("1 dead letter: 1 cause"), run("document.querySelector('td.rest a').click()"))
	b.do("the run", shows(fmt.Sprintf("Run %d stopped at step 3", run1)), shows("division by zero"), shows("deal.opportunity is 0"))
	// The page is live: what changes comes without a reload, and keeps what a person has opened.
	b.do("a mark", until("document.getElementById('live').textContent.startsWith('Live')"),
		run("window.marked = true; document.querySelector('details').open = true"))
	w.fail("Gutter")
	b.do("the live update", until("document.querySelector('header .n').dataset.n === '2'"), until("document.body.innerText.includes('1 other run')"),
		until("window.marked && document.querySelector('details').open"))
	// Click 2: replay, after somebody has repaired the deal.
	w.setSum(strings.TrimPrefix(w.run(run1).Entity, "deal:"), 50)
	b.do("replay", run("document.querySelector('form[action$=\"/replay\"] button').click()"), shows("was replayed"), shows("oncall (console)"))
	b.do("it succeeds, and the page shows it", until("!document.querySelector('h1').innerText.includes('stopped')"))
	// Another language, which stays.
	b.do("Russian", run("document.querySelector('.who a[lang=ru]').click()"), until("document.documentElement.lang === 'ru'"), shows("Запуск"))
	b.open("/portals")
	b.do("it stays", shows("Порталы"))
	// The session ends in another window: nothing is lost.
	b.open("/portals/" + demo.PortalName + "?lang=en")
	if err := w.h.Service.Queue().Pause(t.Context(), demo.PortalName, "", "x"); err != nil {
		t.Fatal(err)
	}
	b.open("/portals/" + demo.PortalName)
	w.setUsers(users(t)[:1]...) // other hashes, the session stays
	b.do("resume", run("document.querySelector('form[action$=\"/resume\"] button').click()"), shows("Resumed"))
	b.do("sign out", run("document.querySelector('form[action=\"/logout\"] button').click()"), shows("Password"))
}

// TestBrowserKeys uses the keyboard alone.
func TestBrowserKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("Roof")
	gutter := w.fail("Gutter")
	b := w.browser()
	b.open("/portals")
	b.do("loaded", until("document.readyState === 'complete' && document.getElementById('live').textContent.startsWith('Live')"))
	b.press("g")
	b.press("r")
	b.do("g r", until("location.pathname === '/runs' && document.readyState === 'complete' && document.querySelector('tbody a')"))
	b.press("j")
	b.do("j", until("document.activeElement.closest('tr') !== null"))
	b.press("j")
	b.press("k")
	b.press("Enter")
	b.do("Enter", until(fmt.Sprintf("location.pathname === '/runs/%d'", gutter)))
	b.open(fmt.Sprintf("/runs/%d", gutter))
	b.do("loaded", until("document.readyState === 'complete'"))
	b.press("e")
	b.do("e", until("document.activeElement.classList.contains('bad')"))
	b.press("o")
	b.do("o", until("[...document.querySelectorAll('#main details')].every(d => d.open)"))
	b.open("/runs")
	b.do("loaded", until("document.readyState === 'complete'"))
	b.press("/")
	b.do("/", until("document.activeElement.name === 'q'"))
	b.press("g")
	b.press("p")
	b.do("keys do nothing while somebody types", until("location.pathname === '/runs' && document.activeElement.value === 'gp'"))
	b.open("/keys")
	b.do("off", until("!document.getElementById('keys-toggle').hidden"), run("document.getElementById('keys-toggle').click(); document.activeElement.blur(); window.left = false; navigation.addEventListener('navigate', () => { window.left = true })"))
	b.press("g")
	b.press("p")
	b.do("turned off", until("window.left === false"))
}

// axe is what the accessibility checker found.
type axe struct {
	Violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
}

// TestBrowserAccessibility checks each page in both themes and at the width of a phone: no
// serious finding of axe-core, nothing scrolls sideways, hostile names are text.
func TestBrowserAccessibility(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs("../../../tools/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	checker, err := os.ReadFile(file)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has not installed axe-core: npm ci --prefix tools/axe")
		}
		t.Skip("axe-core is not installed: npm ci --prefix tools/axe")
	}
	w := newWorld(t)
	parked := w.fail("Roof " + script + "\u202e" + strings.Repeat("W", 4000))
	e := journal.Event{Portal: demo.PortalName, Code: "ONCRMCONTACTADD", Data: json.RawMessage(`{"FIELDS":{"ID":"7"}}`), Why: `[{"rule":"share","file":"share.yaml:4","why":"` + strings.Repeat("W", 400) + `"}]`}
	if err := w.h.Service.Queue().Push(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	pages := []string{
		"/portals", "/portals/" + demo.PortalName, "/runs", "/runs?state=parked&group=cause", "/runs?state=praked", "/runs?group=day", fmt.Sprintf("/runs/%d", parked), "/runs/replay?portal=" + demo.PortalName,
		"/events?rule=none", "/why?of=deal:1", "/plan?entity=deal:1", "/plan?version=disk&entity=deal:1", "/rules", "/rules/share", "/rules/share?part=source", "/audit", "/keys", "/nope",
	}
	shots := os.Getenv("SHOTS")
	modes := []struct {
		name  string
		dark  bool
		width int64
		rules string // of axe; "" checks the width only
	}{
		{"light", false, 1280, "resultTypes: ['violations']"},
		{"dark", true, 1280, "runOnly: ['color-contrast'], resultTypes: ['violations']"}, // only the colours differ
		{"phone", false, 390, ""},
	}
	for i, page := range pages {
		b.open(page)
		b.do("axe", run(string(checker)))
		for _, mode := range modes {
			b.light(mode.dark, mode.width)
			if mode.rules != "" {
				found, err := chromedp.Run(b.ctx, chromedp.Evaluate[axe]("axe.run(document, {"+mode.rules+"})", chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatalf("axe on %s: %v", page, err)
				}
				for _, v := range found.Violations {
					t.Errorf("%s, %s: %s (%s): %s\n%+v", page, mode.name, v.ID, v.Impact, v.Help, v.Nodes)
				}
			}
			wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
			if err != nil || wide > 0 {
				t.Errorf("%s, %s: scrolls sideways by %d pixels: %v", page, mode.name, wide, err)
			}
			if shots != "" {
				picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(80))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(shots, fmt.Sprintf("%02d-%s.png", i, mode.name)), picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestBrowserAccess: a viewer has no buttons, a form of another site is refused, and a form that was
// sent after the session had ended is not lost.
func TestBrowserAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	parked := w.fail("Roof")
	b := w.browser()
	page := fmt.Sprintf("/runs/%d", parked)
	b.open(page)
	b.signIn("guest", "correct horse")
	b.do("a viewer", shows("stopped at step 3"), until("!document.querySelector('main form, main a[href^=\"/plan\"]')"),
		run("document.querySelector('form[action=\"/logout\"] button').click()"), until("document.querySelector('[name=password]')"))
	b.signIn("oncall", "correct horse")
	b.do("an operator", shows("Portals"))

	other := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(out, `<form method="post" action="%s%s/replay"><button>a prize</button></form>`, w.url, page)
	}))
	t.Cleanup(other.Close)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(strings.Replace(other.URL, "127.0.0.1", "localhost", 1))); err != nil {
		t.Fatal(err)
	}
	b.do("the form of another site", run("document.querySelector('button').click()"), shows("This form was sent from another site and was refused"))
	if got := w.run(parked).State; got != journal.Parked {
		t.Errorf("another site has replayed the run: %s", got)
	}

	portal := "/portals/" + demo.PortalName
	b.open(portal)
	b.do("a form", until("document.getElementById('live').textContent.startsWith('Live')"),
		run("document.querySelector('details.ask').open = true; document.querySelector('[name=reason]').value = 'stocktaking'"))
	err := w.h.Service.Queue().Database().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM b24_session`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do("the session ends while somebody fills it", run("document.querySelector('form[action$=\"/pause\"].stack button').click()"), shows("What you sent is kept."))
	b.signIn("oncall", "correct horse")
	b.do("then back, and nothing is lost", shows("Send it again?"), shows("stocktaking"), run("document.querySelector('form.stack button').click()"),
		until("location.pathname === '"+portal+"'"), shows("oncall: stocktaking"))
}
