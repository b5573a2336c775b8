package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/ingest"
)

const (
	token   = "k7f3right"
	formURL = "application/x-www-form-urlencoded"
	// As captured from a portal: brackets encoded, all values text.
	body = "event=ONCRMDEALUPDATE&event_handler_id=221&data%5BFIELDS%5D%5BID%5D=759&ts=1729797011" +
		"&auth%5Bdomain%5D=acme.bitrix24.com&auth%5Bmember_id%5D=a223&auth%5Bapplication_token%5D=" + token
)

func portals(name string) (ingest.Digest, bool) {
	switch name {
	case "acme":
		return ingest.DigestOf(token), true
	case "open": // configured without a token
		return ingest.DigestOf(""), true
	}
	return ingest.Digest{}, false
}

type pushed struct {
	portal string
	event  bitrix.Event
}

// handler is a handler that notes what is pushed and logs into log.
func handler(c ingest.Config) (h http.Handler, got *[]pushed, log *bytes.Buffer) {
	got, log = new([]pushed), new(bytes.Buffer)
	push := c.Push
	c.Portal = portals
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	c.Push = func(ctx context.Context, portal string, e bitrix.Event) error {
		if push != nil {
			if err := push(ctx, portal, e); err != nil {
				return err
			}
		}
		*got = append(*got, pushed{portal, e})
		return nil
	}
	return ingest.New(c), got, log
}

func post(h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatuses(t *testing.T) {
	wrong := strings.Replace(body, token, "k7f3wrong", 1)
	for _, tt := range []struct {
		name, method, path, contentType, body string
		pushErr                               error
		want                                  int
	}{
		{"an event", "POST", "/hooks/acme", formURL, body, nil, 200},
		{"an event nobody knows", "POST", "/hooks/acme", formURL, strings.Replace(body, "ONCRMDEALUPDATE", "ONNEWS", 1), nil, 200},
		{"wrong token", "POST", "/hooks/acme", formURL, wrong, nil, 403},
		{"the token's beginning", "POST", "/hooks/acme", formURL, strings.TrimSuffix(body, "t"), nil, 403},
		{"no token", "POST", "/hooks/acme", formURL, "event=ONCRMDEALUPDATE&data[FIELDS][ID]=759", nil, 403},
		{"unknown portal", "POST", "/hooks/other", formURL, body, nil, 403},
		{"unknown portal, no token", "POST", "/hooks/other", formURL, "event=ONCRMDEALUPDATE", nil, 403},
		{"portal without a token, none sent", "POST", "/hooks/open", formURL, "event=ONCRMDEALUPDATE", nil, 403},
		{"portal without a token, an empty one sent", "POST", "/hooks/open", formURL, "event=ONCRMDEALUPDATE&auth[application_token]=", nil, 403},
		{"no event", "POST", "/hooks/acme", formURL, "auth[application_token]=" + token, nil, 400},
		{"not a form", "POST", "/hooks/acme", "application/json", `{"event":"ONCRMDEALUPDATE"}`, nil, 400},
		{"empty", "POST", "/hooks/acme", formURL, "", nil, 400},
		{"too large", "POST", "/hooks/acme", formURL, body + "&x=" + strings.Repeat("x", 1<<20), nil, 413},
		{"wrong method", "GET", "/hooks/acme", formURL, "", nil, 405},
		{"wrong path", "POST", "/hooks/", formURL, body, nil, 404},
		{"a slash too many in front", "POST", "//hooks/acme", formURL, body, nil, 200},
		{"slashes too many", "POST", "///hooks//acme//", formURL, body, nil, 200},
		{"a slash at the end", "POST", "/hooks/acme/", formURL, body, nil, 200},
		{"a slash at the end, wrong token", "POST", "/hooks/acme/", formURL, wrong, nil, 403},
		{"a longer path", "POST", "/hooks/acme/x", formURL, body, nil, 404},
		{"dots in the path", "POST", "/x/../hooks/acme", formURL, body, nil, 404},
		{"an invalid event", "POST", "/hooks/acme", formURL, body, ingest.Invalid(errors.New("disk")), 400},
		{"store unavailable", "POST", "/hooks/acme", formURL, body, errors.New("disk full"), 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lost []string
			h, got, log := handler(ingest.Config{
				Push: func(context.Context, string, bitrix.Event) error { return tt.pushErr },
				Lost: func(portal string) { lost = append(lost, portal) },
			})
			w := post(h, tt.method, tt.path, tt.contentType, tt.body)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d; %s", w.Code, tt.want, log)
			}
			if stored := len(*got) == 1; stored != (tt.want == 200) {
				t.Errorf("status %d and %d events stored", w.Code, len(*got))
			}
			if logged := fmt.Sprint(lost) == "[acme]"; logged != (tt.want == 503) {
				t.Errorf("status %d, and lost is called with %v", w.Code, lost)
			}
			if said := w.Body.String() + log.String(); strings.Contains(said, "k7f3") {
				t.Errorf("a token is shown: %s", said)
			}
			if strings.Contains(w.Body.String(), "disk") {
				t.Errorf("a stranger gets %q", w.Body)
			}
		})
	}
}

func TestWhatIsPushedAndLogged(t *testing.T) {
	h, got, log := handler(ingest.Config{})
	post(h, "POST", "/hooks/acme", formURL, body)
	if len(*got) != 1 {
		t.Fatalf("%d events pushed, want 1", len(*got))
	}
	p := (*got)[0]
	if p.portal != "acme" || p.event.Code != "ONCRMDEALUPDATE" || p.event.Field("ID") != "759" || p.event.Time.Unix() != 1729797011 {
		t.Errorf("pushed %+v", p)
	}
	for _, want := range []string{"portal=acme", "event=ONCRMDEALUPDATE", "status=200", "id=759"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
}

func TestAnUnknownPortalLooksLikeAWrongToken(t *testing.T) {
	h, _, _ := handler(ingest.Config{})
	wrong := post(h, "POST", "/hooks/acme", formURL, strings.Replace(body, token, "x", 1))
	unknown := post(h, "POST", "/hooks/other", formURL, body)
	if wrong.Body.String() != unknown.Body.String() || fmt.Sprint(wrong.Header()) != fmt.Sprint(unknown.Header()) {
		t.Errorf("answers differ: %v %q and %v %q", wrong.Header(), wrong.Body, unknown.Header(), unknown.Body)
	}
}

func TestAStrangerCannotFillTheLog(t *testing.T) {
	h, _, log := handler(ingest.Config{})
	post(h, "POST", "/hooks/"+strings.Repeat("x", 10_000), formURL, body)
	post(h, "POST", "/hooks/acme", strings.Repeat("x", 10_000), body)
	post(h, "POST", "/hooks/acme", formURL, "event="+strings.Repeat("x", 10_000)+"&"+strings.Repeat("y", 10_000)+"=1")
	if log.Len() > 2000 {
		t.Errorf("three requests logged %d bytes", log.Len())
	}
}

// The portal hangs up after a while; what it sent is stored all the same.
func TestTheEventOutlivesTheConnection(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	h, got, _ := handler(ingest.Config{Push: func(ctx context.Context, _ string, _ bitrix.Event) error {
		hangUp()
		if _, ok := ctx.Deadline(); !ok {
			t.Error("Push has no deadline")
		}
		return ctx.Err()
	}})
	r := httptest.NewRequestWithContext(ctx, "POST", "/hooks/acme", strings.NewReader(body))
	h.ServeHTTP(httptest.NewRecorder(), r)
	if len(*got) != 1 {
		t.Error("the event is lost")
	}
}

// TestASlowBodyIsCutOff: at each address, before the secret is read.
func TestASlowBodyIsCutOff(t *testing.T) {
	received := 0
	h, got, _ := handler(ingest.Config{
		BodyTimeout: 50 * time.Millisecond,
		Hook:        func(string, string) (ingest.Credentials, bool) { return credentialsOf["path"], true },
		Robot:       func(string) (ingest.Credentials, bool) { return credentialsOf["path"], true },
		Receive:     func(context.Context, string, ingest.Request) error { received++; return nil },
	})
	s := httptest.NewServer(h)
	defer s.Close()
	for _, path := range []string{"/hooks/acme", "/hooks/acme/in/path/" + hookSecret, "/hooks/acme/robot/recount/" + hookSecret} {
		answer := send(t, s.Listener.Addr().String(), fmt.Sprintf(
			"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, formURL, len(body), body[:50]))
		if answer != http.StatusRequestTimeout || len(*got)+received != 0 {
			t.Errorf("%s: status %d and %d events, want 408 and none", path, answer, len(*got)+received)
		}
	}
}

// The deadline of the body must not outlast it.
func TestASlowPushAndTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, got, _ := handler(ingest.Config{BodyTimeout: time.Second, Push: func(ctx context.Context, _ string, _ bitrix.Event) error {
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Second):
			}
			return ctx.Err()
		}})
		conn, its := net.Pipe() // a bubble knows no network
		ln := &oneConn{conns: make(chan net.Conn, 1)}
		ln.conns <- its
		server := &http.Server{Handler: h}
		ended := make(chan error)
		go func() { ended <- server.Serve(ln) }()
		answers := bufio.NewReader(conn)
		for range 2 {
			if _, err := io.WriteString(conn, request("acme")); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			if answer.StatusCode != http.StatusOK {
				t.Errorf("status %d, want 200", answer.StatusCode)
			}
		}
		if len(*got) != 2 {
			t.Errorf("%d events, want 2", len(*got))
		}
		_ = server.Close()
		<-ended
	})
}

// oneConn is a listener at which the connections in a channel arrive.
type oneConn struct {
	conns chan net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn, ok := <-l.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.conns); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func send(t *testing.T, addr, request string) (status int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestReady(t *testing.T) {
	var log bytes.Buffer
	for _, tt := range []struct {
		err  error
		want int
	}{{nil, 200}, {errors.New("disk full"), 503}} {
		w := httptest.NewRecorder()
		check := func(context.Context) error { return tt.err }
		ingest.Ready(check, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		if w.Code != tt.want || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%v: status %d %q, want %d without the reason", tt.err, w.Code, w.Body, tt.want)
		}
	}
	if !strings.Contains(log.String(), "disk full") {
		t.Errorf("the log lacks the reason: %s", &log)
	}
}

// FuzzHandler: whatever comes, no panic, a promised status, and nothing is
// stored but for the right token.
func FuzzHandler(f *testing.F) {
	f.Add(formURL, body)
	f.Add("", body)
	f.Add(formURL, "event=ONCRMDEALADD&data[FIELDS][ID]=1&auth[application_token]="+token)
	f.Add(formURL, "event=X&auth[application_token][]="+token)
	f.Add(formURL, "event=X&auth[application_token]="+token+"&auth[application_token]=no")
	f.Add(formURL, "event=X&auth="+token+"&auth[application_token]=")
	f.Add(formURL, "event[]=X&data=1&auth[application_token]="+token)
	f.Add(formURL, "event=%ff&data[FIELDS][ID]=%00&auth[application_token]="+token)
	f.Add(formURL+"; charset=utf-8", strings.Repeat("a[", 2000)+"=1")
	f.Add("multipart/form-data; boundary=x", "--x\r\n\r\n--x--")
	f.Add("application/json", `{"event":"X","auth":{"application_token":"`+token+`"}}`)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		h, got, log := handler(ingest.Config{MaxBody: 4096})
		w := post(h, "POST", "/hooks/acme", contentType, body)
		switch w.Code {
		case 200, 400, 403, 413:
		default:
			t.Fatalf("status %d was not promised", w.Code)
		}
		if (w.Code == 200) != (len(*got) == 1) {
			t.Fatalf("status %d and %d events stored", w.Code, len(*got))
		}
		if w.Code == 200 {
			plain, err := url.QueryUnescape(body)
			if err != nil {
				plain = body
			}
			if !strings.Contains(plain, token) && err == nil {
				t.Fatalf("stored without the token: %q", body)
			}
			if (*got)[0].event.Auth.ApplicationToken != token {
				t.Fatalf("stored with token %q", (*got)[0].event.Auth.ApplicationToken.Reveal())
			}
		}
		if strings.Contains(log.String(), "application_token="+token) {
			t.Fatalf("the log shows the token: %s", log)
		}
	})
}
