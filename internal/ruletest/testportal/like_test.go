package testportal_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/snapshot"
)

// pullFrom takes the snapshot of an emulated portal.
func pullFrom(t *testing.T, portal *emulator.Portal) *snapshot.Snapshot {
	t.Helper()
	server := httptest.NewServer(portal)
	t.Cleanup(server.Close)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(server.URL + portal.WebhookPath()), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s, err := snapshot.Pull(t.Context(), "main", client)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLikeASnapshot: a portal that is made from a snapshot has the same snapshot.
func TestLikeASnapshot(t *testing.T) {
	t.Parallel()
	real := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(real.Close)
	emulator.Demo(real)
	for _, f := range []emulator.UserField{
		{Name: "UF_CRM_OTHER", Type: "enumeration", Options: []string{"a", "b", "c"}},
		{Name: "UF_CRM_ZONE", Type: "enumeration", Title: "Zone", Options: []string{"North", "South"}},
		{Name: "UF_CRM_WEIGHT", Type: "double", Precision: 3},
	} {
		if err := real.AddUserField(2, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := real.SetPipelines(2, emulator.Pipeline{ID: 9, Name: "Wholesale", Stages: []emulator.PipelineStage{
		{ID: "NEW", Name: "Asked", Semantics: "P"}, {ID: "WON", Name: "Paid", Semantics: "S"}, {ID: "LOSE", Name: "Lost", Semantics: "F"},
	}}); err != nil {
		t.Fatal(err)
	}
	real.AddType(emulator.Type{EntityTypeID: 1044, ID: 9, Title: "Deliveries", Products: true, Clients: true})
	real.AddList(emulator.List{ID: 63, Name: "Loading", Fields: []emulator.ListField{{ID: 500, Code: "READY", Type: "L", Options: []string{"Yes", "No"}}, {Type: "SORT", Name: "Order"}}})
	want := pullFrom(t, real)
	dir := t.TempDir()
	if err := want.Write(filepath.Join(dir, "main.portal.json")); err != nil {
		t.Fatal(err)
	}
	seed, list := testportal.ReadSeed(filepath.Join(dir, "seed.yaml"), []byte("portal: {snapshot: main.portal.json}\ndeals: {7: {title: Roof, stageId: C9:WON, categoryId: 9, ufCrm_ZONE: South}}\nelements: {63: [{NAME: x, READY: No}]}\n"))
	if list.HasErrors() {
		t.Fatal(list.Err())
	}
	portal := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited})
	t.Cleanup(portal.Close)
	if err := seed.Fill(portal); err != nil {
		t.Fatal(err)
	}
	if changes := snapshot.Diff(want, pullFrom(t, portal)); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
	for file, want := range map[string]string{"none.portal.json": "no such file", "seed.yaml": "no such file", "like_test.go": "like_test.go is no snapshot of a portal: line 1: "} {
		_, list := testportal.ReadSeed("seed.yaml", []byte("portal: {snapshot: "+file+"}"))
		if err := list.Err(); err == nil || !strings.HasPrefix(err.Error(), "seed.yaml:1:9: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}
