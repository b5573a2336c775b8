package actions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/dryrun"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/engine/private"
	"github.com/b24rules/b24rules/engine/run"
)

var update = flag.Bool("update", false, "rewrite what the scripts of testdata want")

// TestActions runs the scripts of testdata. Each is the example of an action:
// an archive whose parts are done one after the other.
//
//	rule.yaml   the rule file
//	portal      lists and types as people make them: "list Shipments DEAL:S …"
//	rest        REST calls as people and other programs make them
//	inputs      values of the inputs, a line each: "token: abc"
//	run         an entity such as deal:1, "deleted" after its end, "again" for
//	            another attempt of the run before
//	outcome     how the run ended
//	calls       what the run asked of the portal and wrote
//	notes       what the run says it did
//	follows     the runs that the run starts
//	log         what log steps wrote
//	findings    what is wrong with the rule file
//	state       REST calls that read, each followed by what they give
//
// go test -update rewrites what is expected.
func TestActions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, a := range actions.All {
		if !slices.Contains(files, filepath.Join("testdata", a.Name+".txtar")) {
			t.Errorf("action %s has no example testdata/%s.txtar", a.Name, a.Name)
		}
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runScript(t, file) })
	}
}

// script is the state of one archive while it is run.
type script struct {
	t      testing.TB
	portal *emulator.Portal
	url    string // of the inbound webhook
	client *recorder
	rules  *engine.RuleSet
	// What the last run left.
	findings, outcome, notes, changes, follows string
	simulated                                  []dryrun.Write
	records                                    engine.Records // of the runs; nil is none
	log                                        bytes.Buffer
	given                                      map[string]string // inputs
	memory                                     *run.LocalMemory
	numbers                                    run.LocalNumbers
	private                                    *private.Hosts
}

func runScript(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A portal whose updates want an element's id and its code.
	strict := bytes.Contains(archive.Comment, []byte("strict portal"))
	s := newScript(t, emulator.Config{StrictElementCode: strict})
	for i, f := range archive.Files {
		body := string(f.Data)
		got, expected := body, true
		switch f.Name {
		case "rule.yaml":
			s.compile(f.Data)
			expected = false
		case "portal", "rest", "run", "inputs":
			s.perform(f.Name, body)
			expected = false
		case "findings":
			got = s.findings
		case "outcome":
			got = s.outcome
		case "calls":
			got = s.client.take()
		case "notes":
			got = s.notes
		case "follows":
			got = s.follows
		case "changes":
			got = s.changes
		case "log":
			got = s.log.String()
			s.log.Reset()
		case "state":
			got = s.state(body)
		default:
			t.Fatalf("unknown part %q", f.Name)
		}
		if !expected {
			continue
		}
		if *update {
			archive.Files[i].Data = []byte(got)
		} else if diff := cmp.Diff(body, got); diff != "" {
			t.Errorf("%s, part %d (-want +got)\n%s", f.Name, i+1, diff)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func newScript(t testing.TB, cfg emulator.Config) *script {
	t.Helper()
	cfg.Plan, cfg.EventDelay = emulator.PlanUnlimited, -1
	p := emulator.New(cfg)
	t.Cleanup(p.Close)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.SetBaseURL(server.URL)
	url := server.URL + p.WebhookPath()
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(url), Plan: bitrix.PlanUnlimited})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &script{t: t, portal: p, url: url, client: &recorder{Client: client}, given: map[string]string{}, memory: &run.LocalMemory{}}
}

func (s *script) compile(data []byte) {
	set, list := load.File("rule.yaml", data, actions.All)
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s: %s [%s]", f.Pos, f.Text(), f.Code)
		if f.Hint != "" {
			fmt.Fprintf(&b, " (%s)", f.HintText())
		}
		b.WriteByte('\n')
	}
	s.rules, s.findings = set, b.String()
}

func (s *script) perform(verb, body string) {
	s.t.Helper()
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch verb {
		case "portal":
			s.arrange(strings.Fields(line))
		case "inputs":
			name, value, _ := strings.Cut(line, ": ")
			s.given[name] = value
		case "rest":
			if _, err := s.rest(line); err != nil {
				s.t.Fatal(err)
			}
		case "run":
			s.run(strings.Fields(line))
		}
	}
}

// arrange sets up what a person sets up in the portal.
func (s *script) arrange(words []string) {
	s.t.Helper()
	switch words[0] {
	case "list":
		l := emulator.List{ID: 1, Name: words[1]}
		for i, w := range words[2:] {
			code, typ, _ := strings.Cut(w, ":")
			typ, multiple := strings.CutSuffix(typ, "*")
			f := emulator.ListField{ID: i + 1, Code: code, Type: typ, Name: code, Multiple: multiple}
			if typ == "L" {
				f.Options = []string{"Yes", "No"}
			}
			l.Fields = append(l.Fields, f)
		}
		s.portal.AddList(l)
	case "type":
		parent := ""
		typ := emulator.Type{EntityTypeID: 1030, ID: 1, Title: words[1], NoStages: true}
		for _, w := range words[2:] {
			name, kind, _ := strings.Cut(w, ":")
			if name == "parent" { // such as parent:2
				parent = kind
				continue
			}
			kind, multiple := strings.CutSuffix(kind, "*")
			f := emulator.UserField{Name: "UF_CRM_1_" + name, Type: kind, Title: name, Precision: 2, Multiple: multiple}
			if kind == "enumeration" {
				f.Options = []string{"red", "blue"}
			}
			typ.Fields = append(typ.Fields, f)
		}
		s.portal.AddType(typ)
		if parent, err := strconv.Atoi(parent); err == nil {
			if err := s.portal.AddParent(typ.EntityTypeID, parent); err != nil {
				s.t.Fatal(err)
			}
		}
	default:
		s.t.Fatalf("unknown thing of a portal %q", words[0])
	}
}

// run executes the file's first rule for an entity.
func (s *script) run(words []string) {
	s.t.Helper()
	if s.rules == nil {
		s.t.Fatalf("the rule file has errors:\n%s", s.findings)
	}
	entity, err := engine.ParseEntity(words[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.client.take()
	if !slices.Contains(words, "again") {
		s.memory.Begin()
	}
	inputs, problems := s.rules.BindInputs(s.given)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	r := run.Run{
		Inputs: inputs, Send: s.client.post,
		InOrder: true,
		Portal:  "test", Client: s.client, Entity: entity, Count: 1, Attempt: 1,
		Deleted: slices.Contains(words, "deleted"),
		Memory:  s.memory, Numbers: &s.numbers, Records: s.records,
		Rule: func(id string) *engine.Rule {
			for _, r := range s.rules.Rules {
				if r.ID == id {
					return r
				}
			}
			return nil
		},
		Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}
	s.simulate(r)
	s.client.take()
	trace, err := r.Do(context.Background(), s.rules.Rules[0])
	s.sameWrites(trace, s.client.peek())
	s.outcome = string(trace.Outcome) + "\n"
	if err != nil {
		verdict := run.Retry
		var re *run.RunError
		if errors.As(err, &re) {
			verdict = re.Verdict
		}
		s.outcome = fmt.Sprintf("%s: %s\n", [...]string{"retry", "park", "later"}[verdict], err)
		s.memory.Fail()
	} else {
		s.memory.Succeed()
	}
	var notes strings.Builder
	for _, step := range trace.Steps {
		for _, n := range step.Notes {
			fmt.Fprintf(&notes, "%s: %s\n", step.Step, n)
		}
		if step.Skipped != "" {
			fmt.Fprintf(&notes, "%s: skipped, %s\n", step.Step, step.Skipped)
		}
	}
	s.notes = notes.String()
	s.follows = ""
	for _, f := range trace.Follows {
		s.follows += f + "\n"
	}
}

// rest makes one call as somebody else: "crm.item.get {…}".
func (s *script) rest(line string) (any, error) {
	method, params, _ := strings.Cut(line, " ")
	if params == "" {
		params = "{}"
	}
	resp, err := http.Post(s.url+method, "application/json", strings.NewReader(params))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result any    `json:"result"`
		Error  any    `json:"error"`
		Text   string `json:"error_description"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", line, err, body)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("%s: %v: %s", line, answer.Error, answer.Text)
	}
	return answer.Result, nil
}

// state makes the reading calls of a part and writes what they give, a line for
// each row, indented.
func (s *script) state(body string) string {
	var out strings.Builder
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out.WriteString(line)
		result, err := s.rest(strings.TrimSpace(line))
		if err != nil {
			fmt.Fprintf(&out, "\t%v\n", err)
			continue
		}
		for _, row := range rowsOf(result) {
			fmt.Fprintf(&out, "\t%s\n", compact(plain(row)))
		}
	}
	return out.String()
}

// rowsOf unwraps {"items": […]} and the like.
func rowsOf(v any) []any {
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		for _, inner := range m {
			return rowsOf(inner)
		}
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// plain omits what differs from run to run or is irrelevant: times, ids of values,
// empty fields.
func plain(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, x := range m {
		switch {
		case strings.HasSuffix(k, "Time") || strings.HasPrefix(k, "BP_") || k == "IBLOCK_ID" || k == "CREATED_BY" || k == "TIMESTAMP_X":
		case x == nil || x == "" || fmt.Sprint(x) == "0":
		case strings.HasPrefix(k, "PROPERTY_"):
			out[k] = valuesOf(x)
		default:
			out[k] = x
		}
	}
	return out
}

// valuesOf writes {valueId: value} as the list of its values.
func valuesOf(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool {
		return len(ids[i]) < len(ids[j]) || len(ids[i]) == len(ids[j]) && ids[i] < ids[j]
	})
	out := []any{}
	for _, id := range ids {
		out = append(out, m[id])
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

func compact(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
