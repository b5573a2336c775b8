package testportal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// BenchmarkSeed reads and fills in a seed of 10,000 deals.
func BenchmarkSeed(b *testing.B) {
	var text strings.Builder
	text.WriteString("deals:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  %d: {title: Deal %d}\n", i+1, i+1)
	}
	for b.Loop() {
		seed, list := testportal.ReadSeed("seed.yaml", []byte(text.String()))
		if list.HasErrors() {
			b.Fatal(list.Err())
		}
		p := emulator.New(emulator.Config{})
		if err := seed.Fill(p); err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}
