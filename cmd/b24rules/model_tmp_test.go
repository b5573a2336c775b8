package main

import (
	"testing"
	"time"

	"b24rules/emulator"
)

func TestModelTmp(t *testing.T) {
	m := newModel(t)
	bad := 0
	for seed := range uint64(20) {
		h := history{seed: seed, world: worldKind{plan: emulator.PlanUnlimited, latency: 2 * time.Second, grace: time.Millisecond}}
		h.steps = []step{{op: opAddBill, rows: []modelRow{{name: "A", cents: 100, tenths: 10}}}, {op: opDeliverAll}, {op: opCrashAtWork, n: 0, flag: true, wait: 20 * time.Second}, {op: opStart}}
		wrong, log := m.run(t, h)
		if seed == 0 {
			t.Log(log)
		}
		if len(wrong) > 0 {
			bad++
			if bad == 1 {
				t.Logf("%v\n%s", wrong, log)
			}
		}
	}
	t.Logf("%d of 20", bad)
}
