package bitrix_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

// A request leaves only while Permit allows it, even when that changes between the
// decision to send and the connection.
func TestPermit(t *testing.T) {
	errShut := errors.New("the lease is lost")
	var came atomic.Int32 // requests with their bodies, which alone a portal runs
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 {
			return
		}
		came.Add(1)
		_, _ = w.Write([]byte(`{"result":{"item":{"id":1}}}`))
	}))
	defer server.Close()
	var shut atomic.Bool
	dialed := func(context.Context) {}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed(ctx)
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	c, err := bitrix.NewClient(bitrix.Config{
		Webhook: bitrix.Secret(server.URL + "/rest/1/" + secretCode + "/"), Plan: bitrix.PlanUnlimited,
		HTTP: &http.Client{Transport: transport},
		Permit: func() error {
			if shut.Load() {
				return errShut
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	call := func() error { return c.Call(t.Context(), "crm.item.add", nil, nil) }
	if err := call(); err != nil || came.Load() != 1 {
		t.Fatalf("open: %v, %d requests", err, came.Load())
	}
	for name, prepare := range map[string]func(){
		"shut":                   func() { shut.Store(true) },
		"shut while it connects": func() { shut.Store(false); dialed = func(context.Context) { shut.Store(true) } },
	} {
		prepare()
		var e *bitrix.Error
		if err := call(); !errors.As(err, &e) || e.Outcome != bitrix.NotExecuted || !e.Temporary() || !errors.Is(err, errShut) {
			t.Errorf("%s: %v", name, err)
		}
		if came.Load() != 1 {
			t.Errorf("%s: the request was sent", name)
		}
		dialed = func(context.Context) {}
	}
}
