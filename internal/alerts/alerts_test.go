package alerts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
	"github.com/b24rules/b24rules/internal/store"
)

// receiver is a stand-in for a webhook: it can be down, and it keeps what it has taken.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	down   bool
	tries  int
	ids    []string
	bodies []webhookBody
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tries++
		if r.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var body webhookBody
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		r.ids, r.bodies = append(r.ids, req.Header.Get("Idempotency-Key")), append(r.bodies, body)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// texts returns the messages for people that have arrived.
func (r *receiver) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, b := range r.bodies {
		out = append(out, b.Text)
	}
	return out
}

// world is a keeper with its conditions, a receiver and a clock.
type world struct {
	t        *testing.T
	db       store.DB
	receiver *receiver
	keeper   *Keeper
	now      time.Time
	mu       sync.Mutex
	wrong    []Condition
}

func newDatabase(t *testing.T, path string) store.DB {
	t.Helper()
	q, err := queue.Open(t.Context(), "sqlite:"+path, queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q.Database()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, receiver: newReceiver(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.db = newDatabase(t, filepath.Join(t.TempDir(), "queue.db"))
	w.keeper = w.newKeeper(w.db)
	return w
}

func (w *world) newKeeper(db store.DB) *Keeper {
	return &Keeper{
		DB: db, Receivers: []Receiver{{Name: "hook", Sink: Webhook{URL: bitrix.Secret(w.receiver.URL)}, Now: true}}, Log: slog.New(slog.DiscardHandler), Hide: redact.New("s3cr3t-token"),
		Shared: func(context.Context, time.Time) ([]Condition, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.wrong), nil
		},
	}
}

func (w *world) set(wrong ...Condition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = wrong
}

// pass lets time pass, with a look every few seconds.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(every)
		if err := w.keeper.Step(w.t.Context(), w.now); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) want(texts ...string) {
	w.t.Helper()
	if diff := cmp.Diff(texts, w.receiver.texts()); diff != "" {
		w.t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func held(portal string) Condition {
	return Condition{Key: "hold " + portal, Title: "Portal " + portal + " is blocked.", Over: "portal " + portal + " is no longer blocked."}
}

// TestOneMessageForACondition: one at the start, none while it lasts, one at the end. A
// short one is not sent at all.
func TestOneMessageForACondition(t *testing.T) {
	w := newWorld(t)
	w.set(held("acme"), Condition{Key: "long", Title: "long", After: time.Hour})
	w.pass(5 * time.Second)
	w.want()
	w.pass(30 * time.Minute)
	w.want("Portal acme is blocked.")
	w.set()
	w.pass(time.Minute)
	w.want("Portal acme is blocked.", "Over: portal acme is no longer blocked.")
	w.set(held("acme"))
	w.pass(5 * time.Second)
	w.set()
	w.pass(time.Minute)
	if n := len(w.receiver.texts()); n != 2 {
		t.Errorf("%d messages, also about a condition of five seconds", n)
	}
}

// TestGrowingAndLasting: further messages only if the number of runs grows tenfold, or
// after the time of Repeat.
func TestGrowingAndLasting(t *testing.T) {
	w := newWorld(t)
	for _, runs := range []int{4, 39, 41, 60} {
		w.set(Condition{Key: "parked", Title: fmt.Sprintf("%d runs are parked.", runs), Over: "none", Runs: runs, Repeat: 6 * time.Hour, Since: w.now})
		w.pass(time.Minute)
	}
	w.want("4 runs are parked.", "Still: 41 runs are parked.")
	w.pass(6 * time.Hour)
	if texts := w.receiver.texts(); len(texts) != 3 || !strings.HasPrefix(texts[2], "Still, since 2026-03-01 12:0") {
		t.Errorf("after six hours: %q", texts)
	}
}

// TestAReceiverThatIsDown gets everything afterwards, in order and once.
func TestAReceiverThatIsDown(t *testing.T) {
	w := newWorld(t)
	var failures int
	w.keeper.Sent = func(_ string, err error) {
		if err != nil {
			failures++
		}
	}
	w.receiver.setDown(true)
	w.set(held("acme"))
	w.pass(20 * time.Minute)
	w.set(held("acme"), held("bolt"))
	w.pass(20 * time.Minute)
	w.set(held("bolt"))
	w.pass(20 * time.Minute)
	w.want()
	waiting, err := WaitingMessages(t.Context(), w.db)
	if err != nil || len(waiting) != 1 || waiting[0].Messages != 3 || !strings.Contains(waiting[0].Error, "status 503") || waiting[0].Receiver != "hook" {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
	if w.receiver.tries < 12 || w.receiver.tries > 20 || failures != w.receiver.tries {
		t.Errorf("%d tries in an hour, %d failures", w.receiver.tries, failures)
	}
	w.receiver.setDown(false)
	w.pass(time.Hour)
	w.want("Portal acme is blocked.", "Portal bolt is blocked.", "Over: portal acme is no longer blocked.")
	if waiting, err := WaitingMessages(t.Context(), w.db); err != nil || len(waiting) != 0 {
		t.Errorf("still waiting: %+v, %v", waiting, err)
	}
}

// TestAllReceiversAreDown: Telegram, a mail server and a webhook are down for an hour, and get
// everything afterwards, once.
func TestAllReceiversAreDown(t *testing.T) {
	w := newWorld(t)
	mails := newMailServer(t)
	var mu sync.Mutex
	down := true
	var chat []string
	bot := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		var m struct{ Text string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		chat = append(chat, m.Text)
		_, _ = io.WriteString(rw, `{"ok":true}`)
	}))
	t.Cleanup(bot.Close)
	w.keeper.Receivers = append(w.keeper.Receivers,
		Receiver{Name: "duty", Sink: Telegram{Token: "12:x", Chat: "1", API: bot.URL}, Now: true},
		Receiver{Name: "mail", Sink: Email{Server: mails.address, From: "b24rules@ops.example", To: []string{"anna@ops.example"}}, Now: true})
	w.receiver.setDown(true)
	mails.setRefuse(true)
	denied := Condition{Key: "parked", Title: "41 runs are parked.", Over: "no run is parked any more.", Link: "https://ops.example/runs?cause=8c1e"}
	w.set(denied)
	w.pass(30 * time.Minute)
	w.set()
	w.pass(30 * time.Minute)
	w.want()
	mu.Lock()
	down = false
	mu.Unlock()
	mails.setRefuse(false)
	w.receiver.setDown(false)
	w.pass(time.Hour)
	want := []string{"41 runs are parked.\nhttps://ops.example/runs?cause=8c1e", "Over: no run is parked any more."}
	w.want(want...)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, chat); diff != "" {
		t.Errorf("Telegram (-want +got):\n%s", diff)
	}
	mails.mu.Lock()
	defer mails.mu.Unlock()
	if len(mails.mails) != 2 || !strings.Contains(mails.mails[0], "\nSubject: 41 runs are parked.\n") || !strings.Contains(mails.mails[1], "\nSubject: Over: no run is parked any more.\n") {
		t.Errorf("mails: %q", mails.mails)
	}
}

// TestQuietHours: what is not urgent waits for their end, also that it is over, and is not sent if
// it is over by then.
func TestQuietHours(t *testing.T) {
	w := newWorld(t) // noon
	w.keeper.Quiet = Hours{From: 22 * 60, To: 7 * 60, Zone: time.UTC}
	calm := func(name string) Condition { return Condition{Key: name, Title: name, Over: name} }
	urgent := calm("urgent")
	urgent.Urgent = true
	w.set(calm("day"))
	w.pass(time.Minute)
	w.want("day")
	w.now = w.now.Add(11 * time.Hour)
	w.set(calm("night"), calm("short"), urgent)
	w.pass(time.Minute)
	w.want("day", "urgent")
	w.set(calm("night"))
	w.pass(time.Minute)
	w.want("day", "urgent", "Over: urgent")
	w.now = w.now.Add(8*time.Hour - 5*time.Minute)
	w.pass(time.Minute)
	w.want("day", "urgent", "Over: urgent")
	w.pass(5 * time.Minute)
	if got := w.receiver.texts()[3:]; !slices.Contains(got, "night") || !slices.Contains(got, "Over: day") || len(got) != 2 {
		t.Errorf("after the quiet hours: %q", got)
	}
}

// TestDailySummary: each day once, also with several processes, with what each of them sees, and
// as soon as possible after a downtime.
func TestDailySummary(t *testing.T) {
	w := newWorld(t) // noon
	zone := time.FixedZone("east", 3*3600)
	add := func(k *Keeper) {
		k.Quiet, k.DailyAt, k.Home = Hours{Zone: zone}, 9*60, func() string { return "https://ops.example/portals" }
		k.Receivers = append(k.Receivers, Receiver{Name: "daily", Sink: Webhook{URL: bitrix.Secret(w.receiver.URL)}, Daily: true})
		k.Summary = func(_ context.Context, _ time.Time, wrong []Condition) (Condition, error) {
			var names []string
			for _, c := range wrong {
				names = append(names, c.Title)
			}
			return Condition{Title: "wrong: " + strings.Join(names, ", ")}, nil
		}
	}
	add(w.keeper)
	other := w.newKeeper(w.db)
	add(other)
	other.Process = "host b"
	other.Own = func(context.Context, time.Time) ([]Condition, error) {
		return []Condition{{Key: "file", Title: "a file"}}, nil
	}
	known := held("acme")
	known.Quiet = true
	w.set(known, held("bolt"))
	both := func(at time.Time) {
		t.Helper()
		w.now = at
		for range 6 {
			w.now = w.now.Add(every)
			for _, k := range []*Keeper{w.keeper, other} {
				if err := k.Step(t.Context(), w.now); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, zone)
	both(w.now)
	both(day.Add(-time.Minute))
	alerts := w.receiver.texts()
	if len(alerts) != 2 {
		t.Fatalf("before the first summary: %q", alerts)
	}
	both(day)
	both(day.Add(time.Hour))
	one := "wrong: Portal bolt is blocked., a file\nhttps://ops.example/portals"
	w.want(append(alerts, one)...)
	both(day.Add(72 * time.Hour)) // nothing ran for two days
	both(day.Add(80 * time.Hour))
	w.want(append(alerts, one, one)...)
}

// TestSeveralProcesses send one message together, and one that was killed while it sent a
// message is followed by another, with the same ID.
func TestSeveralProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	w := &world{t: t, receiver: newReceiver(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.db = newDatabase(t, path)
	keepers := []*Keeper{w.newKeeper(w.db), w.newKeeper(newDatabase(t, path)), w.newKeeper(newDatabase(t, path))}
	w.set(held("acme"))
	together := func() {
		t.Helper()
		for range 6 {
			w.now = w.now.Add(every)
			var wg sync.WaitGroup
			for _, k := range keepers {
				wg.Go(func() {
					if err := k.Step(t.Context(), w.now); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
	}
	together()
	w.want("Portal acme is blocked.")
	w.set()
	// One process stores the message, claims it, and is killed.
	silent := *keepers[0]
	silent.Receivers = []Receiver{{Name: "hook", Sink: failing{}, Now: true}}
	w.now = w.now.Add(every)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := silent.Step(ctx, w.now); err != nil {
		t.Fatal(err)
	}
	together()
	w.now = w.now.Add(claimFor)
	together()
	w.want("Portal acme is blocked.", "Over: portal acme is no longer blocked.")
	if w.receiver.ids[0] == w.receiver.ids[1] || w.receiver.ids[0] == "" {
		t.Errorf("ids are %v", w.receiver.ids)
	}
}

type failing struct{}

func (failing) Send(context.Context, Message) error { return errors.New("no answer s3cr3t-token") }

// TestTooManyAlerts: a receiver gets ten in an hour, and then one that replaces the rest.
func TestTooManyAlerts(t *testing.T) {
	w := newWorld(t)
	var all []Condition
	for i := range 60 {
		all = append(all, held(fmt.Sprint("portal", i)))
	}
	w.set(all[:10]...)
	w.pass(time.Minute)
	w.set(all...)
	w.pass(30 * time.Minute)
	if n := len(w.receiver.texts()); n != 10 {
		t.Errorf("%d messages in the first hour, want 10", n)
	}
	w.pass(40 * time.Minute)
	texts := w.receiver.texts()
	if len(texts) != 11 || !strings.HasPrefix(texts[10], "50 alerts were held back") {
		t.Errorf("%d messages, the last: %s", len(texts), texts[len(texts)-1])
	}
}

// TestSecretsAreHidden in messages and in stored errors, and a week ends the attempts.
func TestSecretsAreHidden(t *testing.T) {
	w := newWorld(t)
	c := held("acme")
	c.Text = "the answer was s3cr3t-token"
	w.set(c)
	w.pass(time.Minute)
	w.want("Portal acme is blocked.\nthe answer was <secret>")
	w.keeper.Receivers = []Receiver{{Name: "hook", Sink: failing{}, Now: true}}
	w.set()
	w.pass(time.Minute)
	waiting, err := WaitingMessages(t.Context(), w.db)
	if err != nil || len(waiting) != 1 || strings.Contains(waiting[0].Error, "s3cr3t") {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
	w.now = w.now.Add(keepFor)
	w.pass(time.Minute)
	if waiting, err = WaitingMessages(t.Context(), w.db); err != nil || len(waiting) != 0 {
		t.Errorf("after a week: %+v, %v", waiting, err)
	}
}

// TestOwnConditions of one process are not ended by another.
func TestOwnConditions(t *testing.T) {
	w := newWorld(t)
	own := held("acme")
	w.keeper.Process, w.keeper.Own = "a", func(context.Context, time.Time) ([]Condition, error) { return []Condition{own}, nil }
	w.pass(time.Minute)
	other := w.newKeeper(w.db)
	other.Process, other.Own = "b", func(context.Context, time.Time) ([]Condition, error) { return nil, nil }
	if err := other.Step(t.Context(), w.now); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.want("Portal acme is blocked.")
	w.keeper.Own = func(context.Context, time.Time) ([]Condition, error) { return nil, errors.New("cannot read") }
	if err := w.keeper.Step(t.Context(), w.now); err == nil {
		t.Error("a source that fails is no error")
	}
	w.want("Portal acme is blocked.") // what cannot be read is not over
}

// TestSinks holds what a webhook and Telegram receive, and that errors have no secrets.
func TestSinks(t *testing.T) {
	var (
		body   []byte
		header http.Header
		path   string
		answer = func(w http.ResponseWriter) {}
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header, path = r.Header, r.URL.Path
		answer(w)
	}))
	defer server.Close()
	m := Message{ID: "m-1", State: Started, Key: "hold acme", At: time.Unix(1767225600, 0), Condition: Condition{Title: "Portal acme is blocked.", Text: "Wait.", Since: time.Unix(1767225600, 0)}}
	hook := Webhook{URL: bitrix.Secret(server.URL + "/in/s3cr3t"), Secret: "key"}
	if err := hook.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write(body)
	if header.Get(SignatureHeader) != "sha256="+hex.EncodeToString(mac.Sum(nil)) || header.Get("Idempotency-Key") != "m-1" {
		t.Errorf("headers %v", header)
	}
	want := `{"schema":"b24rules/alert/1","id":"m-1","state":"started","alert":"hold acme","at":"2026-01-01T00:00:00Z","title":"Portal acme is blocked.","over":"","text":"Wait.","since":"2026-01-01T00:00:00Z","message":"Portal acme is blocked.\nWait."}`
	if string(body) != want {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
	telegram := Telegram{Token: "12:s3cr3t", Chat: "-100123", API: server.URL + "/"}
	answer = func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"ok":true}`) }
	if err := telegram.Send(t.Context(), m); err != nil || path != "/bot12:s3cr3t/sendMessage" {
		t.Errorf("Telegram at %s: %v", path, err)
	}
	if want := `{"chat_id":"-100123","link_preview_options":{"is_disabled":true},"text":"Portal acme is blocked.\nWait."}`; string(body) != want {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
	status := func(n int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(n)
			_, _ = io.WriteString(w, text)
		}
	}
	for _, tt := range []struct {
		name   string
		sink   Sink
		answer func(http.ResponseWriter)
		want   string
		wait   time.Duration
	}{
		{"webhook down", hook, status(503, ""), "status 503", 0},
		{"redirect", hook, status(302, ""), "status 302", 0},
		{"telegram busy", telegram, status(429, `{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":17}}`), "Too Many Requests", 17 * time.Second},
		{"telegram without a chat", telegram, status(400, `{"ok":false,"description":"Bad Request: chat not found"}`), "chat not found", 0},
		{"telegram page", telegram, status(200, `<html>`), "no JSON", 0},
		{"nobody there", Webhook{URL: "http://127.0.0.1:1/s3cr3t"}, nil, "refused", 0},
		{"telegram away", Telegram{Token: "12:s3cr3t", Chat: "1", API: "http://127.0.0.1:1"}, nil, "refused", 0},
		{"no address", Webhook{URL: "://s3cr3t"}, nil, "not a URL", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer = tt.answer
			err := tt.sink.Send(t.Context(), m)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			var later *RetryAfter
			if got := errors.As(err, &later); got != (tt.wait > 0) || got && later.Wait != tt.wait {
				t.Errorf("retry after %+v, want %s", later, tt.wait)
			}
		})
	}
}
