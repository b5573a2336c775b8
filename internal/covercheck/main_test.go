package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	const input = `ok  	github.com/b24rules/b24rules/engine	0.204s	coverage: 41.7% of statements
ok  	github.com/b24rules/b24rules/engine/run	(cached)	coverage: 90.0% of statements
ok  	github.com/b24rules/b24rules/engine/lint	0.1s	coverage: 85.0% of statements
	github.com/b24rules/b24rules/engine/load		coverage: 0.0% of statements
ok  	github.com/b24rules/b24rules/emulator	1.0s	coverage: 69.9% of statements
ok  	github.com/b24rules/b24rules/docs	1.0s	coverage: 1.0% of statements
FAIL	github.com/b24rules/b24rules/bitrix	1.0s
`
	var out strings.Builder
	err := run(strings.NewReader(input), &out, map[string]float64{"engine": 41, "engine/run": 60, "engine/gone": 1})
	const table = `engine                            41.7 %  floor  41  target 85
engine/run                        90.0 %  floor  60  meets the target: remove its floor
engine/lint                       85.0 %  floor  85
engine/load                        0.0 %  floor  85  too low
emulator                          69.9 %  floor  70  too low
docs                               1.0 %  floor   0
FAIL	github.com/b24rules/b24rules/bitrix	1.0s
`
	if diff := cmp.Diff(table, out.String()); diff != "" {
		t.Errorf("table (-want +got)\n%s", diff)
	}
	const problems = `FAIL	github.com/b24rules/b24rules/bitrix	1.0s
emulator: 69.9 %, need 70 %
engine/gone has a floor and is not in the input
engine/load: 0.0 %, need 85 %`
	if diff := cmp.Diff(problems, err.Error()); diff != "" {
		t.Errorf("problems (-want +got)\n%s", diff)
	}
	if err := run(strings.NewReader(""), &out, nil); err == nil {
		t.Error("no error without any package")
	}
	if err := run(strings.NewReader("ok  \tgithub.com/b24rules/b24rules/engine/num\t1s\tcoverage: 95.7% of statements\n"), &out, nil); err != nil {
		t.Error(err)
	}
}
