package testportal

import (
	"os"
	"testing"

	"github.com/b24rules/b24rules/emulator"
)

// FuzzSeed reads any text as a seed. Nothing panics, every finding has a position, and a
// seed without findings fills a portal.
func FuzzSeed(f *testing.F) {
	for _, path := range []string{"../../../docs/examples/seed.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("portal: {types: {1038: {title: x, fields: {ufCrm5A: {type: list, options: [a]}}, products: true}}}\nitems: {1038: {1: {ufCrm5A: a, rows: [{price: 1}]}}}")
	f.Add("portal: demo\nusers: {7: {name: a}}\nelements: {Shipments: [{NAME: a, ID: 9, CODE: c}]}")
	f.Fuzz(func(t *testing.T, data string) {
		seed, list := ReadSeed("seed.yaml", []byte(data))
		for _, finding := range list {
			if finding.Line < 1 || finding.Column < 1 || finding.Message == "" {
				t.Errorf("a finding without a position: %+v", finding)
			}
		}
		if seed == nil {
			return
		}
		portal := emulator.New(emulator.Config{})
		defer portal.Close()
		if err := seed.Fill(portal); err != nil {
			t.Error(err)
		}
	})
}
