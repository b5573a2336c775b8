package console_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/journal"
)

// enter types a text.
func (b *browser) enter(text string) {
	b.t.Helper()
	for _, r := range text {
		b.press(string(r))
	}
}

// tabTo presses Tab until the focus is on an element.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	at := fmt.Sprintf("document.activeElement.matches(%q)", selector)
	for range 60 {
		b.press("Tab")
		if there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](at)); err != nil || there {
			if err != nil {
				b.t.Fatal(err)
			}
			return
		}
	}
	b.do("Tab leads to "+selector, func(context.Context) error { return fmt.Errorf("it does not") })
}

// fits fails if the page scrolls sideways.
func (b *browser) fits(what string) {
	b.t.Helper()
	wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
	if err != nil || wide > 0 {
		b.t.Errorf("%s scrolls sideways by %d pixels: %v", what, wide, err)
	}
}

const isLoaded = "document.readyState === 'complete' && document.getElementById('live') && document.getElementById('live').dataset.live && document.getElementById('live').textContent.startsWith(document.getElementById('live').dataset.live)"

// TestBrowserOnCallByKeyboard is the work of the person on call with the keyboard alone, in Russian, on a
// phone: an alert's link, the language, the sign-in, the cause, the error, a replay.
func TestBrowserOnCallByKeyboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	run1 := w.fail("Кровля, Ленина 4")
	b := w.browser()
	b.light(false, 390)
	b.open("/runs?state=parked&group=cause")
	b.do("the sign-in", until("document.readyState === 'complete' && document.activeElement.name === 'name'"))
	b.tabTo("a[lang=ru]")
	b.press("Enter")
	b.do("Russian", until("document.documentElement.lang === 'ru' && document.readyState === 'complete' && document.activeElement.name === 'name'"))
	b.fits("the sign-in")
	b.enter("oncall")
	b.press("Tab")
	b.enter("correct horse")
	b.press("Enter")
	b.do("the causes", shows("1 остановленный запуск: 1 причина"), until(isLoaded))
	b.fits("the causes")
	b.press("j")
	b.do("the first cause", until(fmt.Sprintf("document.activeElement.getAttribute('href') === '/runs/%d'", run1)))
	b.press("Enter")
	b.do("the run", shows(fmt.Sprintf("Запуск %d остановился на шаге 3: значение не вычисляется: division by zero", run1)), shows("Что поможет:"), until(isLoaded))
	b.fits("the run")
	b.press("e")
	b.do("the error", until("document.activeElement.classList.contains('bad')"))
	w.setSum(strings.TrimPrefix(w.run(run1).Entity, "deal:"), 50) // as the people of the portal do
	b.open(fmt.Sprintf("/runs/%d", run1))                         // reading starts over, the focus too
	b.do("the run again", until("document.readyState === 'complete'"))
	b.tabTo("form[action$='/replay'] button")
	b.press("Enter")
	b.do("replayed", shows("повторил(а) oncall (console)"))
	b.do("it succeeds, and the page shows it", until("!document.querySelector('h1').innerText.includes('остановился')"))
	b.press("g")
	b.press("p")
	b.do("the portals", shows("всё в порядке"))
	b.fits("the portals")
}

// TestBrowserList: new runs do not push a list away under the eyes of a person, and n and p go from one run
// of the list to the next.
func TestBrowserList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs := []int64{w.fail("Roof"), w.fail("Gutter"), w.fail("Fence")}
	w.h.Wait()
	b := w.browser()
	b.open("/runs?state=parked")
	b.do("the list", until(isLoaded), until("document.querySelectorAll('tbody tr:not(.day)').length === 3"))
	b.press("j")
	b.do("somebody is in the list", until("document.activeElement.closest('tbody') !== null"))
	newest := w.fail("Garage")
	b.do("a newer run is counted", until("!document.getElementById('newer').hidden"), shows("1 newer run"),
		until("document.querySelectorAll('tbody tr:not(.day)').length === 3 && document.activeElement.closest('tbody') !== null"))
	w.fail("Porch")
	b.do("and the next one", shows("2 newer runs"), until("document.querySelectorAll('tbody tr:not(.day)').length === 3"))
	b.do("they come when the person wants it", run("document.querySelector('#newer a').click()"), until("document.querySelectorAll('tbody tr:not(.day)').length === 5 && "+isLoaded),
		until("document.getElementById('newer').hidden"))
	w.fail("Shed")
	b.do("nobody reads: they come at once", until("document.querySelectorAll('tbody tr:not(.day)').length === 6"))

	b.do("open the first of the old ones", run(fmt.Sprintf("document.querySelector('a[href=\"/runs/%d\"]').click()", runs[2])), until(fmt.Sprintf("location.pathname === '/runs/%d'", runs[2])), until(isLoaded))
	b.press("n")
	b.do("n is the next one below", until(fmt.Sprintf("location.pathname === '/runs/%d'", runs[1])), until(isLoaded))
	b.press("p")
	b.do("p goes back", until(fmt.Sprintf("location.pathname === '/runs/%d'", runs[2])), until(isLoaded))
	b.press("p")
	b.do("and up", until(fmt.Sprintf("location.pathname === '/runs/%d'", newest)))
}

// TestBrowserSecondReplay: two people see one run. The second one who replays it reads that somebody was
// faster.
func TestBrowserSecondReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, users(t)...)
	run1 := w.fail("Roof")
	if err := w.h.Service.Queue().Pause(t.Context(), demo.PortalName, "", "test"); err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf("/runs/%d", run1)
	b, first := w.browser(), w.client()
	first.signIn("oncall", "correct horse")
	b.open(page)
	b.signIn("oncall", "correct horse")
	// While somebody selects text, the page does not change: the button stays.
	b.do("the run", shows("stopped at step 3"), until(isLoaded), run("getSelection().selectAllChildren(document.querySelector('h1'))"))
	first.post(page + "/replay")
	b.do("the second one is told", run("document.querySelector('form[action$=\"/replay\"] button').click()"), shows("Nothing was done: somebody was faster"), shows("replayed at"), shows("oncall (console)"))
	if got := w.run(run1); got.State != journal.Waiting || got.Earlier != 1 {
		t.Errorf("the run is %s after %d attempts", got.State, got.Earlier)
	}
}

// TestBrowserPlanOfDisk plans what the rules on disk would do, which differ from those that run.
func TestBrowserPlanOfDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.deal("Roof", 50)
	w.h.Wait()
	w.files["share.yaml"].Data = []byte(strings.ReplaceAll(testRules, "Part {{ part }}", "Share {{ part }}"))
	b := w.browser()
	b.open(fmt.Sprintf("/plan?entity=deal:%d", id))
	b.do("live", shows("nothing to change"))
	b.do("on disk", run("document.querySelector('[name=version]').value = 'disk'; document.querySelector('form.filters button').click()"),
		shows("1 to change"), shows("Share 2"), shows("These rules do not run yet"), until("!document.querySelector('form[method=post][action=\"/plan\"]')"))
	b.do("a tab that comes back does not plan again", run("window.asked = false; window.fetch = () => { window.asked = true; return new Promise(() => {}) }; document.dispatchEvent(new Event('visibilitychange'))"),
		until("window.asked === false && document.querySelector('h1').innerText.startsWith('On disk')"))
}
