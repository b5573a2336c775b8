package b24rules_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the order of the packages: each may import only packages of lower
// layers, and the packages of the same layer that peers names. A new package fails the
// test until it has a place here.
var layers = map[string]int{
	"internal/bench":       6,
	"cmd/b24rules":         8,
	".":                    7,
	"internal/app/cli":     6,
	"internal/app/demo":    5,
	"internal/app/console": 5,
	"internal/app/report":  4,
	"internal/app/rollout": 5,
	"internal/app/service": 4,
	"internal/app/config":  3,
	"internal/app/fleet":   3,
	"internal/app/setup":   3,
	"internal/app/doctor":  3,
	"internal/app/certs":   3,
	"internal/app/probe":   2,
	"internal/app/dump":    1,
	"internal/app/logfile": 0,
	"internal/app/apptest": 6,
	"internal/app/testkit": 1,
	"internal/ruletest":    3,

	"internal/ruletest/compare":    1,
	"internal/ruletest/testportal": 2,
	"internal/ruletest/testfile":   3,
	"internal/ruletest/export":     3,

	"actions":               2,
	"internal/ingest":       2,
	"internal/lease":        1,
	"internal/access":       1,
	"internal/audit":        1,
	"internal/queue":        2,
	"internal/journal":      1,
	"internal/database":     1,
	"internal/notes":        1,
	"internal/store":        0,
	"internal/jobs":         2,
	"internal/ledger":       2,
	"internal/refused":      1,
	"internal/numbers":      2,
	"internal/catchup":      3,
	"internal/hold":         3,
	"internal/cause":        3,
	"internal/shadow":       3,
	"internal/alerts":       3,
	"internal/reload":       3,
	"engine/compile":        2,
	"engine/describe":       2,
	"engine/dryrun":         2,
	"engine/history":        2,
	"engine/lint":           2,
	"engine/load":           2,
	"engine/run":            2,
	"engine":                1,
	"engine/formula":        1,
	"engine/payload":        1,
	"engine/private":        0,
	"emulator":              1,
	"internal/rulefmt":      1,
	"rules":                 0,
	"bitrix":                0,
	"bitrix/internal/batch": 0,
	"bitrix/internal/limit": 0,
	"bitrix/internal/wire":  0,
	"internal/php":          0,
	"internal/redact":       0,
	"internal/charset":      0,
	"internal/diag":         0,
	"docs":                  0,
	"engine/num":            0,
	"engine/datetime":       0,
	"engine/texts":          1,
	"internal/pgtemp":       0,
	"internal/wakeup":       0,
	"internal/covercheck":   0,
	"internal/notices":      0,
	"schemas":               0,
	"internal/yamlfile":     0,
	"internal/wanttest":     1,
	"internal/snapshot":     0,
	"internal/enginetest":   3,

	"actions/internal/value":    1,
	"actions/internal/outside":  1,
	"actions/internal/plan":     1,
	"actions/internal/inportal": 1,

	"emulator/internal/value":  0,
	"emulator/internal/query":  0,
	"emulator/internal/model":  0,
	"emulator/internal/rest":   0,
	"emulator/internal/faults": 0,
	"emulator/internal/events": 0,
	"emulator/internal/crm":    0,
	"emulator/internal/lists":  0,
}

// peers are the arrows inside a layer.
var peers = map[string][]string{
	"bitrix":                    {"internal/charset", "internal/php", "internal/redact", "bitrix/internal/batch", "bitrix/internal/limit", "bitrix/internal/wire", "schemas"},
	"bitrix/internal/batch":     {"internal/php", "bitrix/internal/limit", "internal/wakeup"},
	"internal/yamlfile":         {"internal/diag"},
	"internal/app/fleet":        {"internal/app/config"},
	"internal/app/certs":        {"internal/app/config"},
	"internal/app/service":      {"internal/app/report"},
	"internal/ruletest":         {"internal/ruletest/testfile"},
	"engine":                    {"engine/formula", "engine/payload"},
	"engine/payload":            {"engine/formula"},
	"engine/describe":           {"engine/compile"},
	"engine/load":               {"engine/compile", "engine/lint"},
	"engine/run":                {"engine/history"},
	"actions/internal/value":    {"engine/formula", "engine/texts"},
	"actions/internal/outside":  {"engine"},
	"actions/internal/plan":     {"actions/internal/value", "engine", "engine/formula"},
	"engine/formula":            {"engine/texts"},
	"internal/rulefmt":          {"engine/formula"},
	"internal/snapshot":         {"bitrix", "internal/diag", "schemas"},
	"actions/internal/inportal": {"actions/internal/plan", "actions/internal/value", "engine", "engine/formula"},

	"internal/ruletest/export": {"internal/ruletest", "internal/ruletest/testfile"},

	"emulator/internal/value":  {"engine/num", "internal/php"},
	"emulator/internal/query":  {"emulator/internal/value", "engine/num", "internal/php"},
	"emulator/internal/model":  {"emulator/internal/query", "emulator/internal/value", "engine/num", "internal/php"},
	"emulator/internal/rest":   {"emulator/internal/model", "emulator/internal/query", "emulator/internal/value", "internal/php"},
	"emulator/internal/faults": {"emulator/internal/rest", "emulator/internal/value", "internal/diag", "internal/php", "internal/yamlfile"},
	"emulator/internal/events": {"emulator/internal/model", "emulator/internal/query", "emulator/internal/rest", "emulator/internal/value", "internal/php", "schemas"},
	"emulator/internal/crm":    {"emulator/internal/model", "emulator/internal/query", "emulator/internal/rest", "emulator/internal/value", "engine/num", "internal/php"},
	"emulator/internal/lists":  {"emulator/internal/model", "emulator/internal/query", "emulator/internal/rest", "emulator/internal/value", "internal/php"},
}

// forbidden are arrows that the layers alone would allow, with the reason.
var forbidden = map[string]string{
	"internal/queue engine":          "the queue keeps events and runs and knows no rules",
	"engine internal/queue":          "the engine runs one run and knows no queue",
	"engine actions":                 "the engine is handed its actions",
	"internal/ingest internal/queue": "ingest hands events to a Push function",
	"engine emulator":                "the product never depends on its test portal",
	"actions emulator":               "the product never depends on its test portal",
	"internal/app/service emulator":  "the product never depends on its test portal",
}

// forTests are packages that only tests import, or that are no part of the program.
var forTests = []string{"internal/app/apptest", "internal/app/testkit", "internal/enginetest", "internal/bench"}

type goPackage struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			pkgs = append(pkgs, p)
		}
	}
	return pkgs
}

const module = "github.com/b24rules/b24rules"

// relative is the path of a package within the module, "." for its root.
func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func TestLayers(t *testing.T) {
	found := map[string]bool{}
	for _, p := range packages(t) {
		name := relative(p.ImportPath)
		found[name] = true
		layer, ok := layers[name]
		if !ok {
			t.Errorf("package %s has no layer: give it a place in layers_test.go", name)
			continue
		}
		for _, imp := range p.Imports {
			if (imp == "testing" || imp == "net/http/httptest") && !slices.Contains(forTests, name) {
				t.Errorf("%s imports %s outside its tests", name, imp)
			}
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			dep := relative(imp)
			if slices.Contains(forTests, dep) && !slices.Contains(forTests, name) {
				t.Errorf("%s imports %s outside its tests", name, dep)
			}
			if why, bad := forbidden[name+" "+dep]; bad {
				t.Errorf("%s must not import %s: %s", name, dep, why)
			}
			if layers[dep] >= layer && !slices.Contains(peers[name], dep) {
				t.Errorf("%s (layer %d) must not import %s (layer %d)", name, layer, dep, layers[dep])
			}
		}
	}
	for name := range layers {
		if !found[name] {
			t.Errorf("layers has %s, which is no package", name)
		}
	}
}
