package bitrix_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSafeAfter: the error of a write without an answer says when it has ended. One
// that was answered, or a read, has ended.
func TestSafeAfter(t *testing.T) {
	after := func(d time.Duration, status int, body string, err error) roundTrip {
		return func(*http.Request) (*http.Response, error) {
			time.Sleep(d)
			if err != nil {
				return nil, err
			}
			return answerText(status, body), nil
		}
	}
	for _, tt := range []struct {
		name   string
		portal roundTrip
		call   bitrix.Call
		limit  time.Duration
		want   time.Duration // from the start of the request; 0 is none
	}{
		{"a write whose connection is lost", after(time.Second, 0, "", io.ErrUnexpectedEOF), update(1), 0, time.Minute},
		{"a portal of one's own", after(time.Second, 0, "", io.ErrUnexpectedEOF), update(1), 5 * time.Minute, 5 * time.Minute},
		{"no wait wanted", after(time.Second, 0, "", io.ErrUnexpectedEOF), update(1), -1, 0},
		{"a gateway that has waited enough", after(time.Second, 504, "<html>", nil), update(1), 0, time.Minute},
		{"an answer that is cut off", after(time.Second, 200, `{"result":`, nil), update(1), 0, 0},
		{"a server's error", after(time.Second, 500, `{"error":"INTERNAL_SERVER_ERROR"}`, nil), update(1), 0, 0},
		{"a refusal", after(time.Second, 403, `{"error":"ACCESS_DENIED"}`, nil), update(1), 0, 0},
		{"a read", after(time.Second, 0, "", io.ErrUnexpectedEOF), get(1), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, nil, func(cfg *bitrix.Config) { cfg.HTTP.Transport, cfg.Settle = tt.portal, tt.limit })
				defer c.Close()
				started := time.Now()
				err := c.Do(t.Context(), tt.call)[0].Err
				var e *bitrix.Error
				if !errors.As(err, &e) {
					t.Fatalf("error %v", err)
				}
				got := time.Duration(0)
				if e.SafeAfter.After(time.Now()) {
					got = e.SafeAfter.Sub(started)
				}
				if got.Round(time.Second) != tt.want {
					t.Errorf("settled after %s, want %s: %v", got, tt.want, e)
				}
			})
		})
	}
}

// TestSafeAfterWhenTheCallerHasGone: the request continues without its caller.
func TestSafeAfterWhenTheCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, nil, func(cfg *bitrix.Config) {
			cfg.HTTP.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
				time.Sleep(10 * time.Second)
				return answerText(200, `{"result":true}`), nil
			})
		})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Do(ctx, update(1))[0].Err
		var e *bitrix.Error
		if !errors.As(err, &e) || e.Outcome != bitrix.Unknown || time.Until(e.SafeAfter) != time.Minute || !strings.Contains(e.Error(), "gave up") {
			t.Errorf("%+v, want one that has settled in a minute", e)
		}
		time.Sleep(10 * time.Second) // so that the request can end
	})
}
