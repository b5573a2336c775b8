//go:build unix

package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/apptest"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/store"
)

// announcingRules announce the stage of a deal, by a step without an id and by one with an id.
const announcingRules = `version: 1
rules:
  announced:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    debounce: 20ms
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - once: =deal.stageId
        call: {method: crm.timeline.comment.add, params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: "in {{ deal.stageId }}"}}}
      - id: message
        once: =deal.stageId
        notify: {to: 1, message: "deal {{ event.id }} in {{ deal.stageId }}"}
`

// TestKillUpgrade: the previous version has stored values of once under the labels of steps. The new one
// is killed in the middle of its work, again and again, and announces nothing a second time; a new
// stage is announced. KILL_ROUNDS and KILL_ROUNDS_POSTGRES make the test longer.
func TestKillUpgrade(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		killUpgrade(t, "", testkit.EnvInt(t, "KILL_ROUNDS", testkit.Rounds(3, 2)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		killUpgrade(t, testkit.NewPostgres(t), testkit.EnvInt(t, "KILL_ROUNDS_POSTGRES", 1))
	})
}

func killUpgrade(t *testing.T, database string, rounds int) {
	dir := t.TempDir()
	h := newHarness(t, apptest.Options{
		Dir: dir, Database: database, Inputs: map[string]map[string]string{},
		Emulator: emulator.Config{Latency: emulator.Latency{Request: 3 * time.Millisecond}},
		Rules:    fstest.MapFS{"announced.yaml": {Data: []byte(announcingRules)}},
	})
	var deals []int
	for i := range 8 {
		var id int
		h.Rest("crm.deal.add", map[string]any{"fields": map[string]any{"TITLE": fmt.Sprint("Deal ", i), "STAGE_ID": "NEW"}}, &id)
		deals = append(deals, id)
	}
	h.Wait()
	announced := func(in string) {
		t.Helper()
		comments, messages := map[int]int{}, map[string]int{}
		for _, id := range deals {
			var list []struct{ COMMENT string }
			h.Rest("crm.timeline.comment.list", map[string]any{
				"filter": map[string]any{"ENTITY_ID": id, "ENTITY_TYPE": "deal"}, "select": []string{"ID", "COMMENT"},
			}, &list)
			for _, c := range list {
				if c.COMMENT == "in "+in {
					comments[id]++
				}
			}
		}
		for _, n := range h.Portal.Notifications() {
			messages[n.Text]++
		}
		for _, id := range deals {
			if message := fmt.Sprintf("deal %d in %s", id, in); comments[id] != 1 || messages[message] != 1 {
				t.Errorf("deal %d in stage %s has %d comments and %d messages, want one each", id, in, comments[id], messages[message])
			}
		}
	}
	announced("NEW")
	// As the previous version stored it: b24_once had the labels of steps, which a migration keeps as keys.
	if err := h.Service.Queue().Database().Write(h.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE b24_memory SET key = CASE WHEN key = 'once message' THEN 'message' ELSE 'call[2]' END WHERE key LIKE 'once %'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	if database == "" {
		database = "sqlite:b24rules.db"
	}
	testkit.WriteFile(t, filepath.Join(dir, "rules", "announced.yaml"), announcingRules)
	file := testkit.ServeConfig(t, dir, h.HookAddr, h.Webhook().Reveal(), "", "rules")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, file, databaseLine.ReplaceAllLiteralString(string(data), "database: "+database))
	random := rand.New(rand.NewPCG(uint64(testkit.EnvInt(t, "KILL_SEED", 1)), 1))
	edit := func(fields map[string]any) {
		for _, id := range deals {
			h.Rest("crm.deal.update", map[string]any{"id": id, "fields": fields}, nil)
		}
	}
	for round := range rounds {
		serve := testkit.StartProcess(t, []string{"TEST_TOKEN=" + h.Options.Emulator.ApplicationToken}, "serve", "--config", file)
		serve.Log.Wait(t, 0, "events at")
		edit(map[string]any{"TITLE": fmt.Sprint("Round ", round)})
		for _, id := range deals {
			form := h.form("ONCRMDEALUPDATE", map[string]string{"ID": fmt.Sprint(id)})
			if resp, err := http.Post(h.HookURL, formType, strings.NewReader(form)); err == nil {
				_ = resp.Body.Close()
			}
		}
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
		serve.Signal(syscall.SIGKILL)
		serve.Exit()
	}
	h.Start()
	h.Wait()
	announced("NEW")
	edit(map[string]any{"STAGE_ID": "EXECUTING"})
	h.Wait()
	announced("NEW")
	announced("EXECUTING")
}
