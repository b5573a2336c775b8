package numbers_test

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/internal/numbers"
	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"
)

var postgres pgtemp.Pool

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// TestNumbers checks both databases: two processes give 50 entities the numbers 1 to 50,
// an entity keeps its number, and series, portals and at_least are independent.
func TestNumbers(t *testing.T) {
	for name, dsn := range postgres.Each(t) {
		t.Run(name, func(t *testing.T) {
			var of []numbers.Numbers
			for range 2 {
				q, err := queue.Open(t.Context(), dsn, queue.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = q.Close() })
				of = append(of, numbers.New(q.Database(), "main"))
				if name == "SQLite" {
					of = append(of, of[0]) // one process has the file
					break
				}
			}
			const n = 50
			got := make([]int, n)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					for _, one := range []numbers.Numbers{of[i%2], of[1-i%2]} { // also in the other process
						number, err := one.Take(t.Context(), "CONT", "deal:"+strconv.Itoa(i), 1)
						if err != nil || got[i] != 0 && got[i] != number {
							t.Errorf("entity %d: %d, then %d, %v", i, got[i], number, err)
						}
						got[i] = number
					}
				})
			}
			wg.Wait()
			slices.Sort(got)
			for i, number := range got {
				if number != i+1 {
					t.Fatalf("numbers %v", got)
				}
			}
			for _, c := range []struct {
				series, entity string
				atLeast, want  int
			}{{"CONT", "deal:0", 99, 0}, {"CONT", "deal:50", 1, 51}, {"CONT", "deal:51", 100, 100}, {"CONT", "deal:52", 1, 101}, {"OTHER", "deal:0", 7, 7}} {
				peek, err := of[0].Peek(t.Context(), c.series, c.entity, c.atLeast)
				if err != nil {
					t.Fatal(err)
				}
				number, err := of[0].Take(t.Context(), c.series, c.entity, c.atLeast)
				if err != nil || number != peek || c.want != 0 && number != c.want {
					t.Errorf("%+v: %d, peek %d, %v", c, number, peek, err)
				}
			}
		})
	}
}
