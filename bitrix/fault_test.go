package bitrix_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// TestFaultOf holds which answers may speak of the portal as a whole.
func TestFaultOf(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   bitrix.PortalFault
	}{
		{401, `{"error":"INVALID_CREDENTIALS","error_description":"Invalid request credentials"}`, bitrix.Unauthorised},
		{401, `{"error":"NO_AUTH_FOUND","error_description":"Wrong authorization data"}`, bitrix.Unauthorised},
		{401, `{"error":"expired_token"}`, bitrix.Unauthorised},
		{402, `{"error":"PAYMENT_REQUIRED","error_description":"x"}`, bitrix.Unauthorised},
		{403, `{"error":"ACCESS_DENIED","error_description":"REST API is available only on commercial plans"}`, bitrix.Unauthorised},
		{403, `<html>forbidden</html>`, bitrix.Unauthorised},
		{500, `{"error":"PORTAL_DELETED","error_description":"x"}`, bitrix.Unauthorised},
		{500, `{"error":"INTERNAL_SERVER_ERROR","error_description":"x"}`, bitrix.Unreachable},
		{502, `<html>bad gateway</html>`, bitrix.Unreachable},
		{200, `<html>log in</html>`, bitrix.Unreachable},
		{200, ``, bitrix.Unreachable},
		{429, `{"error":"OVERLOAD_LIMIT","error_description":"x"}`, bitrix.Blocked},
		{429, `{"error":"OPERATION_TIME_LIMIT","error_description":"x"}`, bitrix.NoFault},
		{403, `{"error":"insufficient_scope","error_description":""}`, bitrix.NoFault},
		{400, `{"error":"ACCESS_DENIED","error_description":"Access denied"}`, bitrix.NoFault},
		{400, `{"error":"","error_description":"Not found"}`, bitrix.NoFault},
	} {
		c := newClient(t, answering(func() (int, string) { return tt.status, tt.body }))
		err := c.Do(t.Context(), update(1))[0].Err
		if got := bitrix.FaultOf(fmt.Errorf("step a: %w", err)); got != tt.want {
			t.Errorf("%d %s: fault %d, want %d (%v)", tt.status, tt.body, got, tt.want, err)
		}
	}
	if got := bitrix.FaultOf(errors.New("a formula")); got != bitrix.NoFault {
		t.Errorf("an error that is none of a call: fault %d", got)
	}
}

func answering(answer func() (int, string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, body := answer()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// TestProbe holds that a probe passes a client that stands still because of a
// block, and that the calls after it are sent again.
func TestProbe(t *testing.T) {
	read := bitrix.Call{Method: "crm.item.get"}
	var blocked atomic.Bool
	blocked.Store(true)
	c := newClient(t, answering(func() (int, string) {
		if blocked.Load() {
			return 429, `{"error":"OVERLOAD_LIMIT","error_description":"x"}`
		}
		return 200, `{"result":"2026-03-01T12:00:00+03:00"}`
	}))
	for range 2 {
		if err := c.Do(t.Context(), read)[0].Err; bitrix.FaultOf(err) != bitrix.Blocked {
			t.Fatalf("a call to a blocked portal: %v", err)
		}
	}
	if _, err := c.Probe(t.Context()); bitrix.FaultOf(err) != bitrix.Blocked {
		t.Errorf("a probe of a blocked portal: %v", err)
	}
	blocked.Store(false)
	if err := c.Do(t.Context(), read)[0].Err; bitrix.FaultOf(err) != bitrix.Blocked {
		t.Errorf("the client has not kept a call back: %v", err)
	}
	at, err := c.Probe(t.Context())
	if err != nil || !at.Equal(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("a probe of the portal: %s, %v", at, err)
	}
	if err := c.Do(t.Context(), read)[0].Err; err != nil {
		t.Errorf("after the block: %v", err)
	}
}

// TestProbeAnswers holds that an answer that is no time is no success.
func TestProbeAnswers(t *testing.T) {
	for _, body := range []string{`{"result":null}`, `{"result":false}`, `{"result":[]}`, `{"result":"soon"}`, `{"result":{}}`, `{}`} {
		c := newClient(t, answering(func() (int, string) { return 200, body }))
		if at, err := c.Probe(t.Context()); err == nil {
			t.Errorf("%s: %s", body, at)
		}
	}
}
