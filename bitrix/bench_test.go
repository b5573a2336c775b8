package bitrix_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
)

// instant answers every command with one small row at once, so that nothing but
// our own work is measured.
type instant struct{}

func (instant) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	const row = `{"productRows":[{"id":1,"ownerId":1,"price":10.5,"quantity":3}]}`
	if !strings.HasSuffix(r.URL.Path, "/batch") {
		return answerText(http.StatusOK, `{"result":`+row+`,"total":1}`), nil
	}
	var cmd struct{ Cmd []json.RawMessage }
	if err := json.Unmarshal(body, &cmd); err != nil {
		return nil, err
	}
	var results, totals bytes.Buffer
	for i := range cmd.Cmd {
		if i > 0 {
			results.WriteByte(',')
			totals.WriteByte(',')
		}
		results.WriteString(row)
		totals.WriteByte('1')
	}
	return answerText(http.StatusOK, fmt.Sprintf(`{"result":{"result":[%s],"result_error":[],"result_total":[%s],"result_next":[],"result_time":[]}}`, &results, &totals)), nil
}

// BenchmarkDo is one call each of many goroutines at once.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("%dcallers", callers), func(b *testing.B) {
			c, err := bitrix.NewClient(bitrix.Config{Webhook: webhook, Plan: bitrix.PlanUnlimited, HTTP: &http.Client{Transport: instant{}}})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			call := owner(1, false)
			call.Many = nil
			each(b, callers, func() {
				if a := c.Do(b.Context(), call)[0]; a.Err != nil {
					b.Error(a.Err)
				}
			})
			b.ReportMetric(float64(c.Stats().Requests)/float64(c.Stats().Commands), "requests/call")
		})
	}
}

// BenchmarkMany is the same for calls that may share a command.
func BenchmarkMany(b *testing.B) {
	c, err := bitrix.NewClient(bitrix.Config{Webhook: webhook, Plan: bitrix.PlanUnlimited, HTTP: &http.Client{Transport: instant{}}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	each(b, 1000, func() {
		if _, err := c.List(b.Context(), owner(1, false), "productRows"); err != nil {
			b.Error(err)
		}
	})
}

// each shares b's iterations among goroutines.
func each(b *testing.B, callers int, f func()) {
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range (b.N + callers - 1 - i) / callers {
				f()
			}
		})
	}
	wg.Wait()
}
