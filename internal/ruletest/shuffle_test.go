package ruletest

import (
	"encoding/json"
	"testing"

	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

func TestShuffle(t *testing.T) {
	row := func(product, quantity string) testportal.Fields {
		return testportal.Fields{{Name: "productId", Value: json.Number(product)}, {Name: "quantity", Value: json.Number(quantity)}}
	}
	rows := []testportal.Fields{row("1", "1"), row("2", "1"), row("1", "2"), row("3", "1"), row("1", "3")}
	others := 0
	for seed := range uint64(20) {
		got := shuffle(seed)(rows)
		var products, ones string
		for _, r := range got {
			p, _ := r.Get("productId")
			q, _ := r.Get("quantity")
			products += compare.Text(p.Value)
			if compare.Text(p.Value) == "1" {
				ones += compare.Text(q.Value)
			}
		}
		if ones != "123" || len(got) != len(rows) {
			t.Errorf("seed %d: rows of one product changed their order: %s", seed, ones)
		}
		if products != "12131" {
			others++
		}
	}
	if others < 10 {
		t.Errorf("only %d of 20 orders are others", others)
	}
}
