package export

import (
	"testing"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/schemas"
)

func TestMasks(t *testing.T) {
	w := newRecording(Run{Record: &history.Record{}, Entity: engine.Entity{Kind: "deal", TypeID: schemas.TypeDeal, ID: "1"}}, `
version: 1
rules:
  r:
    steps:
      - when: =deal.title != "Keep me"
      - save: {NAME: "Invoice {{ x }}"}
`)
	k := &masker{w: w, texts: map[string]string{}, counts: map[string]int{}, keep: map[string]bool{"Retail": true}, words: map[string]bool{}}
	for _, word := range wordsOf(w.ruleText) {
		k.words[word] = true
	}
	for _, name := range []string{"Tile", "Tile red", "ROOF-12", "Keep me", "12"} {
		k.name("Product", name)
	}
	names := newMasks(map[string]string{"Tile": "Product 1", "Tile red": "Product 2", "ROOF-12": "Product 3"})
	for _, tt := range []struct{ in, want string }{
		{"Tile", "Product 1"},
		{"Tile red × 3", "Product 2 × 3"},
		{"ROOF-12", "Product 3"},
		{"Keep me", "Keep me"},         // the rule compares with it
		{"Invoice 5", "Invoice 5"},     // the rule's own words
		{"Invoice for Olga", "Text 1"}, // and somebody's
		{"for Olga: Tile", "Text 2"},   // a name does not save the rest
		{"+49 170 1234567", "Text 3"},  // a number, but no quantity
		{"Retail", "Retail"},           // a choice
		{"WON", "WON"},
		{"Y", "Y"},
		{"C5:NEW", "C5:NEW"}, // codes
		{"10.50", "10.50"},
		{"2026-01-31T10:00:00+03:00", "2026-01-31T10:00:00+03:00"},
		{"31.01.2026", "31.01.2026"},
		{"300|USD", "300|USD"},
		{"12345678", "12345678"},
		{"see https://host.example/olga", "Text 4"},
	} {
		k.text("Text", tt.in, names)
		if got := newMasks(k.texts).text(tt.in); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
	}
}
