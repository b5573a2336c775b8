package journal_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/internal/pgtemp"
)

// planNode is a part of a plan of PostgreSQL.
type planNode struct {
	NodeType string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Cond     string     `json:"Index Cond"`
	Plans    []planNode `json:"Plans"`
}

// walk calls do with each part of a plan.
func (n planNode) walk(do func(planNode)) {
	do(n)
	for _, p := range n.Plans {
		p.walk(do)
	}
}

// TestPagesUseIndexesOfPostgres: no page reads all runs or events. PostgreSQL prefers to read small
// tables as a whole; without that, a plan that reads them says that no index fits.
func TestPagesUseIndexesOfPostgres(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, dsn, err := postgres.Create(ctx, "")
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	open(t, dsn)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `SET enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	for name, text := range journal.Explained() {
		var plan string
		if err := conn.QueryRow(ctx, strings.Replace(text, "EXPLAIN ", "EXPLAIN (FORMAT JSON) ", 1)).Scan(&plan); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var all []struct{ Plan planNode }
		if err := json.Unmarshal([]byte(plan), &all); err != nil {
			t.Fatal(err)
		}
		all[0].Plan.walk(func(n planNode) {
			isLarge := n.Relation == "b24_run" || n.Relation == "b24_event"
			if n.NodeType == "Seq Scan" && isLarge || isLarge && strings.Contains(n.NodeType, "Index") && n.Cond == "" && n.Index != "b24_run_cause" && !strings.HasSuffix(n.Index, "_no_rule") {
				t.Errorf("%s reads all of %s in\n%s", name, n.Relation, plan)
			}
		})
	}
}
