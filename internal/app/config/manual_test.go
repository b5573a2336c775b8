package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

const configManualHead = `# The configuration

<!-- made by make gen from the structs that the configuration is read into -->

` + "`b24rules serve --config b24rules.yaml`" + ` and the other commands read one YAML file. Unknown keys and wrong values are
findings with file and line. A portal with errors does not run, and the others do; any other error keeps ` + "`serve`" + ` from starting. Paths are
relative to the folder of the file. In values marked
with *$*, ` + "`${VARIABLE}`" + ` is replaced with the variable of the environment. [examples/b24rules.yaml](examples/b24rules.yaml) is an
example to copy. ` + "`b24rules schema config`" + ` prints the JSON Schema for an editor ([editor.md](editor.md)).
`

// configSections are the mappings of the configuration in the order of the manual,
// the outermost first.
var configSections = []struct {
	title, text string
	keys        any
}{
	{"The file", "", layout{}},
	{"listen: {https: …}", "[install.md](install.md#https) describes it.", httpsFile{}},
	{"portals: {NAME: …}, defaults", "You choose NAME. `portals: FOLDER` names a folder with a file NAME.yaml for each portal; [operating.md](operating.md#many-portals) describes it. The keys of `defaults` hold for all portals. The portal sends its events to `/hooks/NAME`. [portal.md](portal.md) describes how to connect a portal.", portalFile{}},
	{"portals: {NAME: {oauth: …}}", "", oauthFile{}},
	{"console", "The pages are described in [console.md](console.md).", consoleFile{}},
	{"console: {users: {NAME: …}}", "You choose NAME.", consoleUserFile{}},
	{"console: {tokens: {NAME: …}}", "You choose NAME.", consoleTokenFile{}},
	{"console: {proxy: …}", "The proxy ends TLS and signs people in. Its headers count only from the addresses in `from`.", proxyFile{}},
	{"alerts", "[operating.md](operating.md#alerts) describes when a message is sent.", alertsFile{}},
	{"alerts: {send: …}", "", alertSendFile{}},
	{"alerts: {quiet: …}", "", quietFile{}},
	{"alerts: {to: {NAME: …}}", "You choose NAME. Each receiver has `webhook`, `telegram` or `email`.", alertReceiverFile{}},
	{"alerts: {to: {NAME: {telegram: …}}}", "", telegramFile{}},
	{"alerts: {to: {NAME: {email: …}}}", "", emailFile{}},
	{"portals: {NAME: {tls: …}}", "", tlsFile{}},
	{"portals: {NAME: {calendar: …}}", "", daysFile{}},
	{"log", "Files in `dir` are rotated automatically. [operating.md](operating.md#the-log) describes the log and the dump.", logFile{}},
	{"limits", "", Limits{}},
	{"history", "Days, hours, or `forever`.", History{}},
	{"apply", "[operating.md](operating.md#waves) describes the waves.", applyFile{}},
	{"drift", "[operating.md](operating.md#drift) describes the comparisons.", driftFile{}},
	{"portals: {NAME: {ignore: …}}", "A list of differences that drift does not count.", ignoreFile{}},
	{"catch_up", "Or `off`.", catchUpFile{}},
}

// expanded are the keys whose values may name variables.
var expanded = map[string]bool{
	"database": true, "webhook": true, "application_token": true, "client_id": true, "client_secret": true,
}

// configManual is docs/configuration.md.
func configManual() []byte {
	var b bytes.Buffer
	b.WriteString(configManualHead)
	for _, s := range configSections {
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		if s.text != "" {
			fmt.Fprintf(&b, "\n%s\n", s.text)
		}
		b.WriteString("\n| key | what it is | default |\n| --- | --- | --- |\n")
		t := reflect.TypeOf(s.keys)
		for i := range t.NumField() {
			tag := t.Field(i).Tag
			name, value := tag.Get("yaml"), tag.Get("default")
			doc := strings.ReplaceAll(tag.Get("doc"), "${VARIABLE}", "`${VARIABLE}`")
			if words := tag.Get("words"); words != "" {
				doc += ": `" + strings.Join(strings.Fields(words), "`, `") + "`"
			}
			if example := tag.Get("example"); example != "" && value == "" {
				doc += ", such as `" + example + "`"
			}
			if expanded[name] {
				name += "` *$* `"
			}
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.TrimSuffix("`"+name+"`", " ``"), doc, value)
		}
	}
	return b.Bytes()
}

var update = flag.Bool("update", false, "write docs/configuration.md")

// TestConfigManual holds docs/configuration.md against what the structs say now.
func TestConfigManual(t *testing.T) {
	const path = "../../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, configManual(), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, configManual()) {
		t.Errorf("%s is not current: run make gen", path)
	}
}

// TestConfigManualDefaults: what the manual and the editor call the default is what a
// configuration means that says nothing.
func TestConfigManualDefaults(t *testing.T) {
	var b strings.Builder
	for _, s := range []struct {
		key  string
		keys any
	}{{"limits", Limits{}}, {"history", History{}}, {"catch_up", catchUpFile{}}} {
		fmt.Fprintf(&b, "%s:\n", s.key)
		for i := range reflect.TypeOf(s.keys).NumField() {
			tag := reflect.TypeOf(s.keys).Field(i).Tag
			if tag.Get("default") == "" {
				t.Errorf("%s.%s has no default", s.key, tag.Get("yaml"))
			}
			fmt.Fprintf(&b, "  %s: %s\n", tag.Get("yaml"), tag.Get("default"))
		}
	}
	f, list := yamlfile.Parse("c.yaml", []byte(b.String()))
	var in layout
	list.Add(yamlfile.Decode(f, f.Root, &in)...)
	if len(list) > 0 {
		t.Fatal(list)
	}
	if got := (Limits{}).ShutdownGrace(); got != in.Limits.Grace {
		t.Errorf("grace is %v, the manual says %v", got, in.Limits.Grace)
	}
	if got := (Limits{}).SettleTime(); got != in.Limits.Settle {
		t.Errorf("settle is %v, the manual says %v", got, in.Limits.Settle)
	}
	r := &reader{file: f}
	if got := r.catchUp(in.CatchUp); got != DefaultCatchUp {
		t.Errorf("catch_up is %v, the manual says %v", DefaultCatchUp, got)
	}
}
