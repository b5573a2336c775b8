package yamlfile_test

import (
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// TestNames: names of YAML files, and the ones that Parse refuses with the name to use.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, ext, stem, rename string }{
		{"rules/deals.yaml", ".yaml", "deals", ""},
		{"deals.yml", ".yml", "deals", ""},
		{"Deals.YAML", ".YAML", "Deals", ""},
		{"deals.Yml", ".Yml", "deals", ""},
		{"deals.v2.yaml", ".yaml", "deals.v2", ""},
		{"deals.yaml.yaml", ".yaml", "deals.yaml", ""},
		{"deals.yaml ", ".yaml ", "deals", "deals.yaml"},
		{"a b/deals.yaml\u00a0", ".yaml\u00a0", "deals", "deals.yaml"},
		{"deals.yaml.txt", ".yaml.txt", "deals", "deals.yaml"},
		{"deals.YML.TXT", ".YML.TXT", "deals", "deals.YML"},
		{"deals_test.yaml.txt", ".yaml.txt", "deals_test", "deals_test.yaml"},
		{"deals.yaml.bak", "", "deals.yaml", ""},
		{"deals.yaml~", "", "deals", ""},
		{"deals.txt", "", "deals", ""},
		{".yaml", "", "", ""},
		{"yaml", "", "yaml", ""},
	} {
		if ext, stem := yamlfile.Ext(tt.name), yamlfile.Stem(tt.name); ext != tt.ext || stem != tt.stem {
			t.Errorf("%q has the ending %q and the stem %q", tt.name, ext, stem)
		}
		_, list := yamlfile.Parse(tt.name, []byte("a: 1\n"))
		switch {
		case tt.rename == "" && len(list) > 0:
			t.Errorf("%q: %v", tt.name, list)
		case tt.rename != "" && (len(list) != 1 || list[0].Code != "yaml-name" || !strings.HasSuffix(list[0].HintText(), "rename it to "+tt.rename)):
			t.Errorf("%q: %v", tt.name, list)
		}
	}
}
