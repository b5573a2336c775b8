package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/setup"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/rules"
)

var initCmd = &command{
	name:  "init",
	args:  "[--webhook URL] [--rules SET] [--input NAME=VALUE] [--token TOKEN] [--portal NAME] [--listen ADDR] [--ci github|gitlab|none] [--lang en|ru] [--yes] [DIR]",
	short: "make a configuration for a portal, with a rule set and its tests",
	long: `Init asks for the URL of an inbound webhook and for a rule set of the catalogue. It asks the portal for
everything else: lists and smart processes by their names, fields by their titles. Then
it writes to DIR, by default the current folder:

  b24rules.yaml            the configuration
  rules/                   the rule set, its tests, and the snapshot of the portal
  secrets/                 the webhook and the application token; not for git
  schemas/, .vscode/       completion and checks in editors
  .github/ or .gitlab-ci.yml   a job that checks the rules

It never replaces a file, and writes all files or none. Answers can be flags. With --yes
it asks nothing: it takes what the portal has for the defaults of the inputs, and the
only list or type that has the properties or fields of the rule set. It reports what is
missing.

Exit codes: 0 success, 1 the portal lacks something that the rules need, 2 usage error,
3 init could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		n := &initialisation{given: map[string]string{}}
		fs.StringVar(&n.webhook, "webhook", "", "the `URL` of the inbound webhook")
		fs.StringVar(&n.token, "token", "", "the application `TOKEN` of the outbound webhook")
		fs.StringVar(&n.portal, "portal", "main", "the `NAME` of the portal in the configuration")
		fs.StringVar(&n.listen, "listen", "127.0.0.1:8400", "where serve listens for events: `ADDR`")
		fs.StringVar(&n.set, "rules", "", "the rule `SET`: a name of b24rules catalogue list")
		fs.StringVar(&n.ci, "ci", "github", "write a job for `NAME`: github, gitlab or none")
		fs.StringVar(&n.lang, "lang", "en", "print the titles of rule sets in `LANG`: en or ru")
		fs.BoolVar(&n.yes, "yes", false, "ask nothing")
		fs.Func("input", "the value of an input: `NAME=VALUE`, a number or what people call it; can be repeated", func(text string) error {
			name, value, ok := strings.Cut(text, "=")
			if !ok {
				return errors.New("want NAME=VALUE")
			}
			n.given[name] = value
			return nil
		})
		return n.run
	},
}

// initialisation is one run of the command.
type initialisation struct {
	webhook, token, portal, listen, set, ci, lang string
	yes                                           bool
	given                                         map[string]string // inputs
	found                                         rules.Set         // the rule set
	variables                                     []string          // of the environment, for secret inputs

	lines chan string // of stdin
	env   environment
}

func (n *initialisation) run(ctx context.Context, env environment, args []string) error {
	if len(args) > 1 {
		return usagef("unexpected argument %q", args[1])
	}
	if err := oneOf("ci", n.ci, "github", "gitlab", "none"); err != nil {
		return err
	}
	if err := oneOf("lang", n.lang, languages...); err != nil {
		return err
	}
	if n.set != "" {
		if _, err := catalogueSet([]string{n.set}); err != nil {
			return usagef("--rules: %v", err)
		}
	}
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	n.env = env
	// The last possible moment to notice what is in the way is before the first question.
	if found := setup.Conflicts(dir, []setup.File{{Path: config.DefaultFile}}); len(found) > 0 {
		return fmt.Errorf("%s has a %s already: init never replaces a file", dir, found[0])
	}
	client, address, err := n.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	portal, err := snapshot.Pull(ctx, n.portal, client)
	if err != nil {
		return fmt.Errorf("portal %s: %w", address, err)
	}
	if portal.Knows(snapshot.PartScopes) && !slices.Contains(portal.Scopes, "crm") {
		return fmt.Errorf("portal %s: the webhook has no permission for the CRM: tick crm and lists in its form, and run init again", address)
	}
	inputs, err := n.choose(ctx, portal)
	if err != nil {
		return err
	}
	if err := n.examine(ctx, client, inputs); err != nil {
		return err
	}
	files, err := n.files(portal, inputs)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := setup.Write(dir, files); err != nil {
		return config.Plain(err)
	}
	return n.report(dir, files)
}

// ask prints a question and reads a line. hint says how to answer without a question.
func (n *initialisation) ask(ctx context.Context, question, hint string) (string, error) {
	if n.yes {
		return "", fmt.Errorf("%s: %s", strings.TrimRight(question, ": "), hint)
	}
	if n.lines == nil {
		n.lines = make(chan string)
		go func() {
			defer close(n.lines)
			for in := bufio.NewScanner(n.env.In); in.Scan(); {
				select {
				case n.lines <- strings.TrimSpace(in.Text()):
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	if _, err := fmt.Fprintf(n.env.Err, "%s ", question); err != nil {
		return "", err
	}
	select {
	case line, ok := <-n.lines:
		if !ok {
			n.env.say("")
			return "", fmt.Errorf("no answer, so nothing was written: %s", hint)
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// connect asks for the webhook and checks that it works.
func (n *initialisation) connect(ctx context.Context) (*bitrix.Client, string, error) {
	text := n.webhook
	for text == "" {
		var err error
		if text, err = n.ask(ctx, "URL of the inbound webhook:", "name it with --webhook URL"); err != nil {
			return nil, "", err
		}
	}
	n.env.redactor.Set("init", text, n.token)
	n.webhook = text
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(text), Log: warnings(n.env)})
	if err != nil {
		return nil, "", usagef("this is no URL of an inbound webhook: %v (the portal shows it in Developer resources > Incoming webhook)", err)
	}
	u, err := url.Parse(text)
	if err != nil {
		client.Close()
		return nil, "", err
	}
	checks := doctor.Examine(ctx, doctor.Portal{Name: n.portal, Client: client, URL: text, Webhook: true, Now: time.Now})
	for _, c := range checks {
		if c.State == doctor.Failed && (c.Name == "address" || c.Name == "credentials") {
			client.Close()
			return nil, "", fmt.Errorf("portal %s: %s: %s", u.Host, c.Text, c.Advice)
		}
		if c.State == doctor.Warning && (c.Name == "user" || c.Name == "address") {
			n.env.say("warning: %s (%s)", c.Text, c.Advice)
		}
	}
	return client, u.Host, nil
}

// choose chooses the rule set and its inputs.
func (n *initialisation) choose(ctx context.Context, portal *snapshot.Snapshot) (*setup.Inputs, error) {
	if n.set == "" {
		if err := listCatalogue(environment{Std: Std{Out: n.env.Err}, actions: n.env.actions}, "text", n.lang, nil); err != nil {
			return nil, err
		}
	}
	for n.set == "" {
		answer, err := n.ask(ctx, "Rule set:", "name it with --rules NAME, b24rules catalogue list shows the names")
		if err != nil {
			return nil, err
		}
		if set, err := catalogueSet([]string{answer}); err == nil {
			n.set = set.Name
		} else if answer != "" {
			n.env.say("%v", err)
		}
	}
	found, err := catalogueSet([]string{n.set})
	if err != nil {
		return nil, err
	}
	n.found = found
	set, err := compileSet(n.env, n.found)
	if err != nil {
		return nil, err
	}
	inputs := setup.NewInputs(set, portal)
	for _, in := range inputs.Order() {
		if err := n.input(ctx, inputs, in); err != nil {
			return nil, err
		}
	}
	for name := range n.given {
		if !slices.ContainsFunc(set.Inputs, func(in engine.Input) bool { return in.Name == name }) {
			return nil, usagef("--input %s: rule set %s has no input %s", name, n.set, name)
		}
	}
	return inputs, nil
}

// input sets one input: by a flag, by what the portal has for the default, or by a
// question.
func (n *initialisation) input(ctx context.Context, inputs *setup.Inputs, in engine.Input) error {
	if given, ok := n.given[in.Name]; ok {
		if err := inputs.Put(in.Name, given); err != nil {
			return usagef("--input %s: %v", in.Name, err)
		}
		return nil
	}
	if in.Type == engine.TypeSecret {
		// A secret belongs into the environment, not into a file that may be in git.
		n.variables = append(n.variables, secretVariable(in.Name))
		return inputs.Put(in.Name, "${"+secretVariable(in.Name)+"}")
	}
	if guess, ok := inputs.Guess(in); ok {
		if !in.HasDefault {
			n.env.say("%s, %s: %s%s is the only one with what the rules need", in.Name, in.Title, guess, inputs.Called(in.Name, guess))
		}
		return inputs.Put(in.Name, guess)
	}
	question := fmt.Sprintf("%s, %s", in.Name, in.Title)
	if options, known := inputs.Options(in.Name); known {
		if len(options) == 0 {
			return fmt.Errorf("%s: the portal has none that the user of the webhook can see, so nothing was written", question)
		}
		question += ": " + inputs.List(in.Name)
	}
	for {
		answer, err := n.ask(ctx, question+":", fmt.Sprintf("name it with --input %s=VALUE", in.Name))
		if err != nil {
			return err
		}
		if answer == "" {
			continue
		}
		if err := inputs.Put(in.Name, answer); err == nil {
			return nil
		} else {
			n.env.say("%v", err)
		}
	}
}

// examine checks that the portal has what the rules need.
func (n *initialisation) examine(ctx context.Context, client *bitrix.Client, inputs *setup.Inputs) error {
	values, _ := inputs.Set.BindInputs(inputs.Values)
	p := doctor.Portal{Name: n.portal, Client: client, URL: n.webhook, Webhook: true, Now: time.Now}
	for _, r := range inputs.Set.Rules {
		p.Rules = append(p.Rules, doctor.Rule{Rule: r, Inputs: values})
	}
	var bad []doctor.Check
	for _, c := range doctor.Examine(ctx, p) {
		if c.State == doctor.Failed {
			bad = append(bad, c)
		}
	}
	if len(bad) == 0 {
		return ctx.Err()
	}
	if err := writeChecks(n.env.Out, bad); err != nil {
		return err
	}
	n.env.say("nothing was written: follow the advice and run init again")
	return errFindings
}

// files are the files to write.
func (n *initialisation) files(portal *snapshot.Snapshot, inputs *setup.Inputs) ([]setup.File, error) {
	known, err := portal.Encode()
	if err != nil {
		return nil, err
	}
	token := n.token
	if token == "" {
		token = "to-be-replaced-" + rand.Text()
	}
	out := []setup.File{
		{Path: config.DefaultFile, Data: n.configuration(inputs)},
		{Path: "rules/" + snapshot.FileName(n.portal), Data: known},
		{Path: "secrets/" + n.portal + ".webhook", Data: []byte(n.webhook + "\n"), Secret: true},
		{Path: "secrets/" + n.portal + ".token", Data: []byte(token + "\n"), Secret: true},
		{Path: "secrets/.gitignore", Data: []byte("*\n")},
		{Path: ".vscode/settings.json", Data: []byte(editorSettings)},
	}
	for _, f := range setFiles(n.found) {
		out = append(out, setup.File{Path: "rules/" + f.Path, Data: f.Data})
	}
	for _, s := range fileSchemas {
		data, err := s.build(n.env.actions)
		if err != nil {
			return nil, err
		}
		out = append(out, setup.File{Path: "schemas/" + s.file(), Data: data})
	}
	switch n.ci {
	case "github":
		out = append(out, setup.File{Path: ".github/workflows/rules.yaml", Data: []byte(docs.Job("GitHub"))})
	case "gitlab":
		out = append(out, setup.File{Path: ".gitlab-ci.yml", Data: []byte(docs.Job("GitLab"))})
	}
	return out, nil
}

const editorSettings = `{
  "yaml.schemas": {
    "schemas/rules.schema.json": ["rules/*.yaml", "!rules/*_test.yaml"],
    "schemas/tests.schema.json": "rules/*_test.yaml",
    "schemas/config.schema.json": "b24rules.yaml"
  }
}
`

// configuration writes b24rules.yaml.
func (n *initialisation) configuration(inputs *setup.Inputs) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# yaml-language-server: $schema=schemas/config.schema.json
# Events arrive here: a reverse proxy forwards https://your-host/hooks/%[1]s.
listen: %[2]s
database: sqlite:b24rules.db
rules: [rules]
portals:
  %[1]s:
    webhook_file: secrets/%[1]s.webhook
    application_token_file: secrets/%[1]s.token
`, n.portal, n.listen)
	if len(inputs.Set.Inputs) > 0 {
		fmt.Fprintf(&b, "    inputs:\n      %s:\n", n.set)
	}
	for _, in := range inputs.Set.Inputs {
		value := inputs.Values[in.Name]
		if in.Type == "string" {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&b, "        %s: %s%s\n", in.Name, value, inputs.Comment(in.Name))
	}
	return b.Bytes()
}

// report lists what was written and names the next commands.
func (n *initialisation) report(dir string, files []setup.File) error {
	for _, f := range files {
		n.env.say("wrote %s", filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	if n.token == "" {
		n.env.say("next: make an outbound webhook for the events of the rules (docs/portal.md), and put its application token into %s", filepath.Join(dir, "secrets", n.portal+".token"))
	}
	for _, name := range n.variables {
		n.env.say("next: set the variable %s of the environment, also for serve", name)
	}
	at := filepath.Join(dir, config.DefaultFile)
	_, err := fmt.Fprintf(n.env.Out, "b24rules doctor --config %[1]s\nb24rules serve --config %[1]s\n", at)
	return err
}
