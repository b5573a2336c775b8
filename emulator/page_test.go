package emulator_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/emulator"
)

// patience is how long a test waits for the browser: so long that what has not
// come by then will not come, on the busiest machine.
const patience = 3 * time.Minute

// browser opens a page of a portal in a real browser. Complaints of the page
// fail the test when it ends.
func (p *portal) browser(path string) context.Context {
	p.t.Helper()
	program := needBrowser(p.t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1280, 800))
	ctx, cancel := chromedp.NewExecAllocator(p.t.Context(), options...)
	p.t.Cleanup(cancel)
	var mu sync.Mutex
	var complaints []string
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, exceptionText(event.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint("console ", event.Type))
		}
	}))
	p.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, patience)
	p.t.Cleanup(cancel)
	p.t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			p.t.Errorf("the page: %s", c)
		}
	})
	if err := chromedp.Do(ctx, chromedp.Navigate(p.url+path)); err != nil {
		p.t.Fatal(err)
	}
	return ctx
}

// exceptionText returns what a script failed with and where.
func exceptionText(e *runtime.ExceptionDetails) string {
	text := e.Text
	if e.Exception != nil {
		text += " " + e.Exception.Description
	}
	return fmt.Sprintf("%s (%s:%d)", text, e.URL, e.LineNumber+1)
}

// needBrowser skips a test without a browser, except in CI, where it must not
// be missing.
func needBrowser(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no browser (apt-get install chromium)")
	}
	t.Skip("no browser (apt-get install chromium)")
	return ""
}

func runIn(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// shown waits until a part of the page shows a text.
func shown(selector, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, text), chromedp.WithPollingTimeout(patience))
}

// enter changes a field as a person does, and leaves it.
func enter(selector, value string) chromedp.Action[chromedp.Void] {
	return onceSeen(fmt.Sprintf("document.querySelector(%q)", selector), fmt.Sprintf("e.value = %q; e.dispatchEvent(new Event('change'))", value))
}

// click clicks on what a selector finds.
func click(selector string) chromedp.Action[chromedp.Void] {
	return onceSeen(fmt.Sprintf("document.querySelector(%q)", selector), "e.click()")
}

func openTab(name string) chromedp.Action[chromedp.Void] {
	return onceSeen(fmt.Sprintf("[...document.querySelectorAll('button[role=tab]')].find(b => b.textContent === %q)", name), "e.click()")
}

// onceSeen does something with an element e as soon as it is there to be seen. It
// looks and acts in one go: the page may be drawn again at any time, and what
// was looked up before would be another one's place.
func onceSeen(element, do string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](fmt.Sprintf("(() => { const e = %s; if (!e || !e.checkVisibility()) return false; %s; return true })()", element, do),
		chromedp.WithPollingTimeout(patience))
}

// find types what is to be found.
func find(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf("{ const box = document.getElementById('find'); box.value = %q; box.dispatchEvent(new Event('input')) }", text))
}

// TestPage lets a person work on the page of a portal, and REST clients change
// it at the same time.
func TestPage(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{EventDelay: -1, Plan: emulator.PlanStandard})
	emulator.Demo(p.Portal)
	h := newHandler(t, 200)
	p.AddWebhook(h.url, allEvents...)
	ctx := p.browser("/")
	runIn(t, ctx, "an empty portal", chromedp.WaitVisible(chromedp.CSS("#add")), shown("#panel", "0 in all"), shown("#no-calls", "No REST call"), shown("#level-text", "0 of 50"))

	runIn(t, ctx, "a new deal", click("#add"), shown("#item-1", "New deal"), chromedp.WaitVisible(chromedp.CSS("[name=add-row]")))
	runIn(t, ctx, "two products", click("[name=add-row]"), shown("#item-1", "Product 1"), click("[name=add-row]"), shown("#item-1", "Product 2"))
	runIn(t, ctx, "a quantity", enter("[name=quantity]", "2.5"), shown("#item-1", "350.00 USD"))
	runIn(t, ctx, "a title", enter("[name=title]", `<img src=x onerror="alert(1)"> & more`), shown("#item-1 .title", `<img src=x onerror="alert(1)"> & more`))
	runIn(t, ctx, "a product less", click(`[aria-label="Remove Product 2"]`), shown("#item-1 .sum", "250.00 USD"))
	runIn(t, ctx, "won", click("[name=win]"), shown("#item-1 .stage", "WON"))
	want := []string{"ONCRMDEALADD 1"}
	for range 6 {
		want = append(want, "ONCRMDEALUPDATE 1")
	}
	if diff := cmp.Diff(want, h.take(t, p)); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	// Nothing of this was a call, and it cost nothing.
	if s := p.Stats(); s.Requests != 0 || s.Level != 0 || len(p.Calls()) != 0 {
		t.Errorf("%+v", s)
	}

	p.add(2, `{"title":"Roof of a client"}`)
	p.post("crm.none", `{"secret":1}`)
	runIn(t, ctx, "what a client has done", shown("#panel", "Roof of a client"), shown("#calls", "crm.item.add"), shown("#calls", "ERROR_METHOD_NOT_FOUND"), shown("#counters", "requests"))
	runIn(t, ctx, "part of a name", find("CLIENT"), shown("#panel", "1 found"), chromedp.WaitNotPresent(chromedp.CSS("#item-1")))
	runIn(t, ctx, "a number", find("1"), chromedp.WaitVisible(chromedp.CSS("#item-1")), chromedp.WaitNotPresent(chromedp.CSS("#item-2")))
	runIn(t, ctx, "all again", find(""), shown("#panel", "2 in all"))
	runIn(t, ctx, "a deleted deal", click("#item-1 summary"), chromedp.WaitVisible(chromedp.CSS("[name=delete]")),
		click("#item-1 summary"), chromedp.WaitNotPresent(chromedp.CSS("[name=delete]")),
		click("#item-1 summary"), click("[name=delete]"), chromedp.WaitNotPresent(chromedp.CSS("#item-1")))

	runIn(t, ctx, "an invoice", openTab("Invoices"), shown("#add", "Add an invoice"), click("#add"),
		chromedp.WaitVisible(chromedp.CSS("[name=add-row]")), click("[name=add-row]"), shown("#item-1 .sum", "100.00 USD"),
		click("[name=win]"), shown("#item-1 .stage", ":P"))
	p.must("lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"e1","FIELDS":{"NAME":"Tile","PROPERTY_101":1,"PROPERTY_106":1}}`)
	runIn(t, ctx, "a list", openTab("Shipments"), shown(".elements", "Tile"), shown(".elements", "Yes"),
		click(`[aria-label="Delete Tile"]`), shown("#panel", "0 in all"))
	runIn(t, ctx, "a smart process", openTab("Invoice totals"), shown("#add", "Add an item"), click("#add"), shown("#panel", "ufCrm5Total"))
}

// TestPageFits looks at the page on a desk and on a phone, by day and by night:
// nothing sticks out. SHOTS names a folder for pictures of it.
func TestPageFits(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{Plan: emulator.PlanStandard})
	emulator.Demo(p.Portal)
	p.add(2, `{"title":"Roof with a name of considerable length, `+strings.Repeat("as-people-write-it-", 6)+`"}`)
	p.must("crm.item.productrow.set", `{"ownerType":"D","ownerId":1,"productRows":[{"productName":"Tile, `+strings.Repeat("very-", 20)+`long","price":1234567.89,"quantity":3},{"productName":"Delivery","price":99}]}`)
	p.must("lists.element.add", `{"IBLOCK_TYPE_ID":"lists","IBLOCK_ID":47,"ELEMENT_CODE":"`+strings.Repeat("c", 60)+`","FIELDS":{"NAME":"Tile","PROPERTY_101":1}}`)
	p.post("crm.none", `{"why":"it is not there"}`)
	ctx := p.browser("/")
	for _, c := range []struct {
		name   string
		width  int64
		height int64
		scheme string
	}{{"desk", 1280, 800, "light"}, {"desk-dark", 1280, 800, "dark"}, {"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}} {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: c.scheme}}}
		setMedia := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, media)
			return err
		})
		runIn(t, ctx, c.name, setMedia, chromedp.EmulateViewport(c.width, c.height),
			chromedp.Navigate(p.url+"/"), chromedp.WaitVisible(chromedp.CSS("#item-1")), click("#item-1 summary"), chromedp.WaitVisible(chromedp.CSS("[name=add-row]")))
		for _, view := range []string{"deal", "list"} {
			if view == "list" {
				runIn(t, ctx, c.name, openTab("Shipments"), shown(".elements", "Tile"))
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if wide > c.width {
				t.Errorf("%s, %s: %d wide on a screen of %d", c.name, view, wide, c.width)
			}
			if folder := os.Getenv("SHOTS"); folder != "" {
				if err := os.WriteFile(filepath.Join(folder, "emulator-"+c.name+"-"+view+".png"), picture, 0o600); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestPageFiles serves what the page is made of and nothing else.
func TestPageFiles(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{})
	for path, want := range map[string]int{
		"/": 200, "/_emulator/page.js": 200, "/_emulator/page.css": 200, "/_emulator/page.go": 404, "/_emulator/page.": 404,
		"/index.html": 404, "/page/page.js": 404, "/favicon.ico": 404,
	} {
		if status, body := p.send("GET", path, "", ""); status != want {
			t.Errorf("%s: status %d, want %d: %.80s", path, status, want, body)
		}
	}
}

// TestActors: what happens inside the portal is no REST call, but is kept in
// the history and sends its events.
func TestActors(t *testing.T) {
	t.Parallel()
	p := open(t, emulator.Config{
		EventDelay: -1, Plan: emulator.PlanStandard, Latency: emulator.Latency{Request: time.Hour, Command: time.Hour}, Scopes: []string{},
	})
	if err := p.SetFaults(emulator.Fault{Kind: emulator.FaultRefuse, Code: "OVERLOAD_LIMIT"}); err != nil {
		t.Fatal(err)
	}
	h := newHandler(t, 200)
	p.AddWebhook(h.url, "ONCRMDEALADD")
	for _, actor := range []string{"person", "robot"} {
		for range 60 {
			if status, body := p.send("POST", "/_emulator/"+actor+"/crm.deal.add", "application/json", `{"fields":{"TITLE":"x"}}`); status != 200 {
				t.Fatal(status, body)
			}
		}
	}
	status, body := p.send("POST", "/_emulator/person/batch", "application/json", `{"cmd":["crm.deal.get?id=1","crm.none"]}`)
	p.match("batch", `{"result":{"result":[{"ID":"1","CREATED_BY_ID":"1","…":1}],"result_error":{"1":{"error":"ERROR_METHOD_NOT_FOUND","…":1}},"…":1},"time":"*"}`, body)
	if status != 200 || len(h.take(t, p)) != 120 {
		t.Errorf("status %d, %d events", status, len(h.last))
	}
	if s := p.Stats(); s.Requests != 0 || s.Batches != 0 || len(s.Commands) != 0 || len(s.Errors) != 0 || len(p.Calls()) != 0 || len(p.History()) != 120 {
		t.Errorf("%+v", s)
	}
	for path, want := range map[string]int{"person/event.bind": 403, "person/crm.none": 404, "stranger/profile": 404, "person/": 404} {
		if status, body := p.send("POST", "/_emulator/"+path, "application/json", `{}`); status != want {
			t.Errorf("%s: status %d, want %d: %s", path, status, want, body)
		}
	}
}
