//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// pageRun says how the commands of a page are run. The keys of its maps are texts with which
// commands start.
type pageRun struct {
	page string
	// scene makes what the page expects: a portal, a folder, a service.
	scene func(r *reader)
	// before runs before a command.
	before func(r *reader, command string)
	// codes are the exit codes of commands that may end with another code than 0. With 2, a
	// usage error, the page would be wrong.
	codes map[string][]int
	// elsewhere are the commands that cannot be run here, with the reason or with the test that
	// runs them.
	elsewhere map[string]string
	// exact are the commands whose output is compared with the page, alike those whose numbers
	// and times may differ.
	exact, alike []string
}

// blockShown are the blocks with commands.
var blockShown = regexp.MustCompile("(?ms)^ *```(sh|console)\n(.*?)^ *```")

// TestPages runs all commands of the manual in a shell with an empty home directory.
// TestTutorial and TestFromNothing run those of their pages, TestCIPage the jobs of
// docs/ci.md, and TestWayOver the way over of docs/from-crest.md.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and other tests run the same commands")
	}
	t.Parallel()
	own := []string{"docs/tutorial.md", "docs/tutorial.ru.md", "docs/from-nothing.md"}
	for page, text := range manualPages(t) {
		hasRun := slices.Contains(own, page) || slices.ContainsFunc(pageRuns, func(p pageRun) bool { return p.page == page })
		if blockShown.MatchString(text) && !hasRun {
			t.Errorf("%s has commands that no test runs", page)
		}
	}
	for _, p := range pageRuns {
		t.Run(p.page, func(t *testing.T) {
			t.Parallel()
			p.follow(t)
		})
	}
}

// commands returns the commands of the page.
func (p pageRun) commands(t *testing.T) (out []shown) {
	t.Helper()
	for _, m := range blockShown.FindAllStringSubmatch(testkit.ReadFile(t, filepath.Join("../../..", p.page)), -1) {
		if m[1] == "console" {
			out = append(out, blockCommands(m[2])...)
			continue
		}
		for _, c := range shellCommands(m[2]) {
			out = append(out, shown{command: c, output: "…http://…"}) // the output of what runs on
		}
	}
	return out
}

func (p pageRun) follow(t *testing.T) {
	r := newReader(t)
	r.path = testkit.ProgramDir(t) + ":" + os.Getenv("PATH")
	if p.scene != nil {
		p.scene(r)
	}
	used := map[string]bool{}
	// starts reports whether a command starts with a text.
	starts := func(command, text string) bool {
		if !strings.HasPrefix(command, text) {
			return false
		}
		used[text] = true
		return true
	}
	for _, c := range p.commands(t) {
		skip, exact, codes := false, false, []int{exitFine}
		for text := range p.elsewhere {
			skip = starts(c.command, text) || skip
		}
		for _, text := range p.exact {
			exact = starts(c.command, text) || exact
		}
		alike := false
		for _, text := range p.alike {
			alike = starts(c.command, text) || alike
		}
		for text, all := range p.codes {
			if starts(c.command, text) {
				codes = all
			}
		}
		if skip {
			continue
		}
		if p.before != nil {
			p.before(r, c.command)
		}
		if exact || runsOn.MatchString(c.command) {
			r.follow(c)
		} else if code, out := r.run(c); !slices.Contains(codes, code) {
			t.Errorf("%s: exit code %d, want %v\n%s", c.command, code, codes, out)
		} else if want := plain(r.replace(c.output)); alike && plain(out) != want {
			t.Errorf("%s prints\n%s\nwant\n%s", c.command, plain(out), want)
		}
	}
	for _, text := range slices.Concat(keysOf(p.elsewhere), keysOf(p.codes), p.exact, p.alike) {
		if !used[text] {
			t.Errorf("%s has no command that starts with %q", p.page, text)
		}
	}
}

var (
	numberShown = regexp.MustCompile(`\b[0-9a-f]{12}\b|[0-9]+(?:[.:-][0-9]+)*`)
	zoneShown   = regexp.MustCompile(`times: .*`)
	pluralShown = regexp.MustCompile(`\b(event|run)s\b`)
)

// plain returns an output without its numbers, times and widths of columns.
func plain(output string) string {
	output = zoneShown.ReplaceAllString(numberShown.ReplaceAllString(output, "N"), "times: ZONE")
	lines := strings.Split(strings.TrimSpace(pluralShown.ReplaceAllString(output, "$1")), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "\n")
}

func keysOf[T any](m map[string]T) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// must runs a command of a scene and returns its output.
func (r *reader) must(command string) string {
	r.t.Helper()
	code, out := r.run(shown{command: command})
	if code != exitFine || strings.Contains(out, `"error"`) {
		r.t.Fatalf("%s: exit code %d\n%s", command, code, out)
	}
	return out
}

const restShown = "http://127.0.0.1:8484/rest/1/emulator/"

// portal starts a portal without a rate limit: a test is faster than a reader.
func (r *reader) portal(flags string) {
	r.t.Helper()
	r.follow(shown{command: "b24rules emulator --plan unlimited --handler http://127.0.0.1:8400/hooks/main" + flags, output: restShown + "\n…token of events…"})
}

// unlimited says in the configuration that the portal has no rate limit.
func (r *reader) unlimited() {
	r.t.Helper()
	path := filepath.Join(r.dir, "b24rules.yaml")
	testkit.WriteFile(r.t, path, strings.Replace(testkit.ReadFile(r.t, path), "\n  main:\n", "\n  main:\n    plan: unlimited\n", 1))
}

// shop makes the folder of the tutorial, next to a portal.
func (r *reader) shop() {
	r.t.Helper()
	r.portal("")
	r.must("b24rules init --yes --webhook " + restShown + " --token emulator-application-token --rules deal-shipments shop")
	r.must("cd shop")
	r.unlimited()
}

// runningShop makes the folder of the tutorial, with a running service and an element for a deal.
func (r *reader) runningShop() {
	r.t.Helper()
	r.shop()
	r.serve()
	r.must("curl -s " + restShown + "crm.deal.add -d 'fields[TITLE]=Roof'")
	r.must("curl -s " + restShown + "crm.deal.productrows.set -d 'id=1&rows[0][PRODUCT_NAME]=Tiles&rows[0][PRICE]=33.33&rows[0][QUANTITY]=3'")
	r.follow(shown{command: "curl -s '" + restShown + "lists.element.get?IBLOCK_TYPE_ID=lists&IBLOCK_ID=47'", output: `…"NAME":"Tiles × 3"…`})
}

func (r *reader) serve() {
	r.t.Helper()
	r.follow(shown{command: "b24rules serve", output: "…portal main: events at http://127.0.0.1:8400/hooks/main…"})
}

// checkout makes what a reader has in the folder of the repository.
func (r *reader) checkout() {
	r.t.Helper()
	for to, from := range map[string]string{"rules": "../../../rules", "docs/examples": "../../../docs/examples", "bin": testkit.ProgramDir(r.t)} {
		if err := os.CopyFS(filepath.Join(r.dir, to), os.DirFS(from)); err != nil {
			r.t.Fatal(err)
		}
	}
	path := filepath.Join(r.dir, "docs/examples/emulator.yaml")
	testkit.WriteFile(r.t, path, r.replace(testkit.ReadFile(r.t, path)))
}

var pageRuns = []pageRun{
	{
		page:  "README.md",
		scene: (*reader).checkout,
		before: func(r *reader, command string) {
			if strings.HasPrefix(command, "b24rules validate rules/ &&") {
				// The configuration of a reader who has connected a portal.
				text := testkit.ReadFile(r.t, filepath.Join(r.dir, "docs/examples/emulator.yaml"))
				testkit.WriteFile(r.t, filepath.Join(r.dir, "b24rules.yaml"), strings.ReplaceAll(text, "../../rules", "rules"))
			}
		},
		codes: map[string][]int{"b24rules validate rules/ &&": {exitFindings}}, // not all events have arrived
		exact: []string{"curl "},
		elsewhere: map[string]string{
			"make ": "the targets for development", "go install": "TestReadmeInstall", "b24rules serve": "the page has started it before",
		},
	},
	{page: "README.ru.md", elsewhere: map[string]string{"make ": "the targets for development"}},
	{page: "docs/catalogue.md", scene: (*reader).shop},
	{page: "docs/ci.md", elsewhere: map[string]string{"exec ": "TestCIPage runs this command"}},
	{
		page: "docs/editor.md",
		scene: func(r *reader) {
			testkit.WriteFile(r.t, filepath.Join(r.dir, "rules", "won.yaml"), testkit.Rule("won", testkit.ReadDeal))
		},
		codes: map[string][]int{"b24rules validate": {exitFine, exitFindings}},
	},
	{page: "docs/emulator.md"},
	{page: "docs/howto.md", scene: (*reader).runningShop},
	{page: "docs/howto.ru.md", scene: (*reader).runningShop},
	{
		page: "docs/install.md",
		elsewhere: map[string]string{
			"cd /etc/b24rules": "packaging/check.sh looks at the files of a package", "sudo ": "it needs an installed package", "journalctl": "it needs systemd", "docker": "it needs Docker",
		},
	},
	{
		page: "docs/operating.md",
		scene: func(r *reader) {
			r.runningShop()
			r.must("curl -s " + restShown + "crm.contact.add -d 'fields[NAME]=Eve'")
			r.must("curl -s " + restShown + "crm.lead.add -d 'fields[TITLE]=Shed'")
			// The numbers of the page, and its folder for backups.
			r.also(" 41", " 1", " 812", " 1", "deal:759", "deal:1", "element:47:12", "element:47:1", "/var/backups/", r.home+"/")
		},
		before: func(r *reader, command string) {
			switch {
			case strings.HasPrefix(command, "b24rules restore"):
				r.end() // serve
			case strings.HasPrefix(command, "b24rules plan --since"):
				r.must("mkdir new && sed 's/ × / x /' rules/deal-shipments.yaml > new/deal-shipments.yaml")
			}
		},
		alike: []string{"b24rules events list", "b24rules backup", "b24rules why"},
		codes: map[string][]int{
			"b24rules runs replay 41": {exitFailure}, "b24rules runs discard 41": {exitFailure}, // the run has succeeded
		},
		elsewhere: map[string]string{
			"b24rules apply": "TestApply", "b24rules prune": "TestPrune", "b24rules release": "TestMade", "b24rules shadow": "TestFromNothing",
			"b24rules runs resume --portal acme": "TestPortalHold", "b24rules runs replay --cause": "it needs a parked run", "jq ": "it needs a dump",
		},
	},
	{
		page: "docs/portal.md",
		scene: func(r *reader) {
			r.checkout()
			r.portal(" --seed docs/examples/customer.yaml")
			webhook := r.replace(restShown)
			r.also("https://acme.bitrix24.com/rest/7/SECRET/", webhook, "https://acme.bitrix24.com", strings.TrimSuffix(webhook, "/rest/1/emulator/"), "/etc/b24rules", r.home)
			r.env = []string{"WEBHOOK=" + webhook, "CLIENT_ID=local.1", "CLIENT_SECRET=s3cr3t", "TOKEN=emulator-application-token"}
		},
		before: func(r *reader, command string) {
			switch {
			case strings.Contains(command, "init --yes"):
				r.must("rm -r shop")
			case strings.HasPrefix(command, "curl -d 'event="):
				r.must(`rm -r shop && b24rules init --yes --webhook "$WEBHOOK" --token "$TOKEN" --rules deal-shipments --input list=Loading --input product_property=Goods shop && cd shop`)
				r.unlimited()
				r.serve()
				form := regexp.MustCompile("(?m)^event=.*$").FindString(testkit.ReadFile(r.t, "../../../docs/portal.md"))
				testkit.WriteFile(r.t, filepath.Join(r.dir, "event.txt"), form)
			}
		},
		exact: []string{"b24rules init shop", "b24rules explain rules"},
		codes: map[string][]int{"b24rules doctor --portal main": {exitFindings}},
		elsewhere: map[string]string{
			"b24rules unbind": "TestUnbind", "b24rules doctor --probe": "TestProbe",
		},
	},
	{
		page: "docs/snapshot.md",
		scene: func(r *reader) {
			r.shop()
			r.must("curl -s " + restShown + "crm.deal.userfield.add -d 'fields[FIELD_NAME]=ZONE&fields[USER_TYPE_ID]=string&fields[EDIT_FORM_LABEL][en]=Zone'")
			testkit.WriteFile(r.t, filepath.Join(r.dir, "rules", "zones.yaml"), snapshotRules)
			r.must("echo '      zones: {list: 47}' >> b24rules.yaml")
		},
		before: func(r *reader, command string) {
			path := filepath.Join(r.dir, "rules", "zones.yaml")
			switch command {
			case "b24rules validate rules":
				testkit.WriteFile(r.t, path, strings.Replace(snapshotRules, "ufCrm_ZONE", "ufCrm_ZOEN", 1))
			case "b24rules schema diff":
				testkit.WriteFile(r.t, path, snapshotRules)
				r.must("curl -s " + restShown + "crm.deal.userfield.delete -d id=$(curl -s " + restShown + "crm.deal.userfield.list | sed 's/.*\"ID\":\"\\([0-9]*\\)\".*/\\1/')")
				r.must("curl -s " + restShown + "crm.deal.userfield.add -d 'fields[FIELD_NAME]=ZONE_2&fields[USER_TYPE_ID]=string&fields[EDIT_FORM_LABEL][en]=Zone 2'")
			}
		},
		exact: []string{"b24rules validate rules", "b24rules schema diff"},
	},
	{
		page: "docs/testing.md",
		scene: func(r *reader) {
			for _, block := range manualBlocks(r.t, "testing.md", "yaml") {
				// A block names its file in its first line.
				if m := regexp.MustCompile(`^# (\w+\.yaml)\n`).FindStringSubmatch(block); m != nil {
					testkit.WriteFile(r.t, filepath.Join(r.dir, "rules", m[1]), block)
				}
			}
		},
	},
}
