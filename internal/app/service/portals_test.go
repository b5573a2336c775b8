package service

import (
	"context"
	"log/slog"
	"testing"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/hold"
	"github.com/b24rules/b24rules/internal/ingest"
)

// TestDownAfterAReplacement: work whose client was replaced or closed under it starts again.
// It is neither parked nor forgotten.
func TestDownAfterAReplacement(t *testing.T) {
	portal := func() *Portal {
		client, err := bitrix.NewClient(bitrix.Config{Webhook: "http://127.0.0.1:1/rest/1/s3cr3t/"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return &Portal{Name: "main", Client: client, hold: hold.NewPortal(hold.Options{Name: "main", Log: slog.New(slog.DiscardHandler)})}
	}
	old, now := portal(), portal()
	refused := &bitrix.Error{Method: "crm.item.list", Code: "INVALID_CREDENTIALS", Status: 401}
	own := &bitrix.Error{Method: "crm.item.list", Code: "ACCESS_DENIED"}
	all := newPortals()
	all.put(old)
	if all.down(old)(t.Context(), bitrix.ErrClosed) {
		t.Error("a client that is closed at the end of the program counts as replaced")
	}
	for name, change := range map[string]func(){"replaced": func() { all.put(now) }, "removed": func() { all.stop("main", ingest.DigestOf("t0k3n")) }} {
		change()
		for _, err := range []error{bitrix.ErrClosed, refused} {
			if !all.down(old)(context.Background(), err) {
				t.Errorf("%s: %v counts against the entity", name, err)
			}
		}
		if all.down(old)(context.Background(), own) {
			t.Errorf("%s: %v is the entity's own", name, own)
		}
	}
}
