package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/load"
)

func TestInstance(t *testing.T) {
	all := []*engine.Action{keeping("read", engine.Touch{Kind: engine.TouchItems, Of: "owner", Reads: true})}
	const text = `version: 1
rules:
  one: {on: ONCRMDEALUPDATE, moved: {from: [old, older]}, steps: [{read: {owner: deal}}]}
  two: {on: ONCRMDEALUPDATE, owner: them, steps: [{read: {owner: deal}}]}
`
	set, list := load.File("a.yaml", []byte(text), all)
	if set == nil {
		t.Fatal(list)
	}
	describe := func(s *engine.RuleSet) []string {
		out := []string{s.Name + "|" + s.Instance}
		for _, r := range s.Rules {
			if r.Set != s {
				t.Errorf("rule %s is in set %s", r.ID, r.Set.Name)
			}
			out = append(out, r.ID+" owns "+r.Owner+" from "+strings.Join(r.From, " "))
		}
		return append(out, "starts "+strings.Join(s.Started("x"), " "))
	}
	spb := set.As("spb")
	if diff := cmp.Diff([]string{"a@spb|spb", "one@spb owns old@spb from old@spb older@spb", "two@spb owns them@spb from ", "starts x@spb x"}, describe(spb)); diff != "" {
		t.Errorf("the instance (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a|", "one owns old from old older", "two owns them from ", "starts x"}, describe(set)); diff != "" || set.As("") != set {
		t.Errorf("the set itself (-want +got):\n%s", diff)
	}
	if spb.Version != set.Version || spb.File != set.File || len(spb.Rules[0].Steps) != 1 {
		t.Errorf("%+v", spb)
	}
}
