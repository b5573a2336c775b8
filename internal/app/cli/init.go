package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/docs"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/app/setup"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
	"github.com/b24rules/b24rules/rules"
)

var initCmd = &command{
	name:  "init",
	args:  "[--webhook URL] [--app URL --client-id ID --client-secret SECRET --public-url URL] [--rules SET] [--input NAME=VALUE] [--token TOKEN] [--portal NAME] [--https NAME | --listen ADDR] [--ci github|gitlab|none] [--lang en|ru] [--yes] [DIR]",
	short: "make a configuration for a portal, with a rule set and its tests",
	long: `Init asks for the URL of an inbound webhook and for a rule set of the catalogue. It finds
everything else in the portal: lists and smart processes by their names, fields by their
titles. Then it writes to DIR, by default the current folder:

  b24rules.yaml            the configuration
  rules/                   the rule set, its tests, and the snapshot of the portal
  secrets/                 the webhook and the application token; not for git
  schemas/, .vscode/       completion and checks in editors
  .github/ or .gitlab-ci.yml   a job that checks the rules
  .gitignore               keeps the database and the secrets out of git

For an application (OAuth), answer with the address of the portal instead of a webhook,
such as https://acme.bitrix24.com, or use --app. Init then asks for the client_id and the
client_secret of the application's form, and for the address under which the portal
reaches this machine. An application has no access before it is installed. So init asks
the portal only if --webhook names an inbound webhook, too; init does not store that one.
Without it, inputs are ids and names as the rules need them.

With --https, serve obtains and renews a certificate for the name of this machine, and
needs no reverse proxy. The name must lead to this machine, and port 443 must be open.

Init never replaces a file: it keeps an existing .gitignore, job or editor setting, and
stops if another file exists. It writes all files or none. Answers can be flags. With
--yes it asks nothing: it takes what the portal has for the defaults of the inputs, and
the only list or type that has the properties or fields of the rule set. It reports what
is missing.

Exit codes: 0 success, 1 the portal lacks something that the rules need, 2 usage error,
3 init could not run.`,
	setup: func(fs *flag.FlagSet) runFunc {
		n := &initialisation{}
		n.flags(fs)
		fs.StringVar(&n.webhook, "webhook", "", "the `URL` of the inbound webhook")
		fs.StringVar(&n.app.Portal, "app", "", "connect as an application to the portal with the address `URL`")
		fs.StringVar(&n.app.ID, "client-id", "", "the client_id `ID` of the application")
		fs.StringVar(&n.app.Secret, "client-secret", "", "the client_secret `SECRET` of the application")
		fs.StringVar(&n.app.Public, "public-url", "", "the `URL` under which the portal reaches this machine")
		fs.StringVar(&n.token, "token", "", "the application `TOKEN` of the outbound webhook")
		fs.StringVar(&n.portal, "portal", "main", "the `NAME` of the portal in the configuration")
		fs.StringVar(&n.listen, "listen", defaultListen, "where serve listens for events: `ADDR`; a reverse proxy forwards them")
		fs.StringVar(&n.https, "https", "", "receive events at https://`NAME` without a reverse proxy, such as b24.example.com")
		fs.StringVar(&n.set, "rules", "", "the rule `SET`: a name of b24rules catalogue list")
		fs.StringVar(&n.ci, "ci", "github", "write a job for `NAME`: github, gitlab or none")
		fs.StringVar(&n.lang, "lang", "en", "print the titles of rule sets in `LANG`: en or ru")
		return n.run
	},
}

// defaultListen is where serve listens without --listen.
const defaultListen = "127.0.0.1:8400"

// initialisation is one run of the command.
type initialisation struct {
	questions
	webhook, token, portal, listen, https, set, ci, lang string
	app                                                  setup.Application
	found                                                rules.Set // the rule set
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
		var err error
		if n.found, err = catalogueSet([]string{n.set}); err != nil {
			return valuef("--rules: %v", err)
		}
	}
	if n.app.Portal == "" && cmp.Or(n.app.ID, n.app.Secret, n.app.Public) != "" {
		return usagef("--client-id, --client-secret and --public-url need --app, the address of the portal")
	}
	if n.https != "" && n.listen != defaultListen {
		return usagef("--https and --listen cannot be combined: with --https serve listens on port 443")
	}
	n.https = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(pasted(n.https), "https://"), "/"))
	if n.https != "" && n.app.Portal != "" && n.app.Public == "" {
		n.app.Public = "https://" + n.https
	}
	if n.portal == "" {
		return usagef("--portal needs a name, such as main")
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
		return fmt.Errorf("%s has a %s already, and init replaces no file: choose another folder, or add the portal to that file (docs/operating.md, Many portals)", dir, found[0])
	}
	if err := setup.Writable(dir); err != nil {
		return err
	}
	if err := n.access(ctx); err != nil {
		return err
	}
	// The flags are checked before the portal is asked, which takes time.
	if err := checkConfiguration(dir, n.configuration(&setup.Inputs{Set: &engine.RuleSet{}}).Text()); err != nil {
		return err
	}
	var client *bitrix.Client
	var portal *snapshot.Snapshot
	if n.webhook != "" {
		var err error
		if client, portal, err = n.connect(ctx); err != nil {
			return err
		}
		defer client.Close()
	}
	inputs, err := n.choose(ctx, portal)
	if err != nil {
		return err
	}
	if client != nil {
		p := doctor.Portal{Name: n.portal, Client: client, URL: n.webhook, Webhook: true, Now: time.Now}
		if err := n.examine(ctx, p, inputs); err != nil {
			return err
		}
	}
	files, err := n.files(dir, portal, inputs)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	kept, files := setup.Present(dir, files)
	if err := setup.Write(dir, files); err != nil {
		return config.Plain(err)
	}
	n.sayKept(dir, kept)
	return n.report(dir, files, inputs.Set)
}

// access asks how the portal is called.
func (n *initialisation) access(ctx context.Context) (err error) {
	if n.app.Portal == "" && n.webhook == "" {
		if err := n.askAccess(ctx); err != nil {
			return err
		}
	}
	n.webhook = pasted(n.webhook)
	if n.app.Portal == "" {
		return nil
	}
	if n.app.Portal, err = origin(pasted(n.app.Portal)); err != nil {
		return err
	}
	check := doctor.Address(ctx, doctor.Portal{URL: n.app.Portal, Now: time.Now})
	if check.State == doctor.Failed {
		return fmt.Errorf("portal %s (%s)", check.Text, check.Advice)
	}
	for _, q := range []struct {
		to             *string
		question, flag string
	}{
		{&n.app.ID, "client_id of the application:", "--client-id ID"},
		{&n.app.Secret, "client_secret of the application:", "--client-secret SECRET"},
		{&n.app.Public, "address under which the portal reaches this machine, such as https://b24rules.example.com:", "--public-url URL"},
	} {
		if *q.to, err = n.askFor(ctx, *q.to, q.question, "name it with "+q.flag); err != nil {
			return err
		}
	}
	n.app.Public = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(pasted(n.app.Public), "/"), "/hooks/"+n.portal), "/")
	n.env.redactor.Set("application", n.app.Secret)
	return nil
}

// askAccess asks until the answer is the URL of a webhook or the address of a portal.
func (n *initialisation) askAccess(ctx context.Context) error {
	for {
		answer, err := n.askFor(ctx, "", "URL of the inbound webhook, or address of the portal for an application:", "name it with --webhook URL, or --app URL for an application")
		if err != nil {
			return err
		}
		answer = pasted(answer)
		if u, err := url.Parse(answer); err == nil && u.Host != "" && strings.Trim(u.Path, "/") == "" {
			n.app.Portal = answer
			return nil
		}
		client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(answer)})
		if err == nil {
			client.Close()
			n.webhook = answer
			return nil
		}
		n.env.say("%v", noWebhook(err))
	}
}

// webhookWithMethod is the URL of a call, as the form of a webhook in the portal shows it.
var webhookWithMethod = regexp.MustCompile(`^(https?://[^/]+/rest/[0-9]+/[A-Za-z0-9]+)/+[A-Za-z0-9.]*(?:[?#].*)?$`)

// pasted returns the URL in a text that a person has copied: without the spaces, quotes and
// brackets around it, and without the method of a call. A host alone is an address with HTTPS.
func pasted(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`<>«»“”„‘’,;", r)
	})
	if host, _, _ := strings.Cut(text, "/"); !strings.Contains(text, "://") && strings.Contains(host, ".") && !strings.ContainsFunc(text, unicode.IsSpace) {
		text = "https://" + text
	}
	return webhookWithMethod.ReplaceAllString(text, "$1/")
}

// origin is the address of a portal without the path of one of its pages.
func origin(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case webhookWithMethod.MatchString(address):
		return "", valuef("this is the URL of an inbound webhook, and --app takes the address of the portal: name the URL with --webhook")
	case err != nil || u.Host == "":
		return address, nil // the configuration reports it
	}
	return u.Scheme + "://" + u.Host, nil
}

// noWebhook says that a URL is none of an inbound webhook.
func noWebhook(err error) error {
	return valuef("this is no URL of an inbound webhook: %v (the portal shows it in Developer resources > Incoming webhook)", err)
}

// connect checks that the webhook works, and reads what the portal has.
func (n *initialisation) connect(ctx context.Context) (*bitrix.Client, *snapshot.Snapshot, error) {
	n.env.redactor.Set("init", n.webhook, n.token)
	client, err := bitrix.NewClient(bitrix.Config{Webhook: bitrix.Secret(n.webhook), Log: warnings(n.env)})
	if err != nil {
		return nil, nil, noWebhook(err)
	}
	portal, err := n.read(ctx, client)
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, portal, nil
}

// read checks the access to the portal, and reads what it has.
func (n *initialisation) read(ctx context.Context, client *bitrix.Client) (*snapshot.Snapshot, error) {
	u, err := url.Parse(n.webhook)
	if err != nil {
		return nil, err
	}
	examined := make(chan []doctor.Check, 1)
	go func() {
		examined <- doctor.Examine(ctx, doctor.Portal{Name: n.portal, Client: client, URL: n.webhook, Webhook: true, Now: time.Now})
	}()
	var checks []doctor.Check
	select {
	case checks = <-examined:
	case <-time.After(5 * time.Second):
		n.env.say("waiting for the answers of %s", u.Host)
		checks = <-examined
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, c := range checks {
		if c.State == doctor.Failed && (c.Name == "address" || c.Name == "credentials") {
			return nil, fmt.Errorf("portal %s: %s (%s)", u.Host, strings.TrimPrefix(c.Text, u.Host+": "), c.Advice)
		}
		if c.State == doctor.Warning && (c.Name == "user" || c.Name == "address") {
			n.env.say("warning: %s (%s)", c.Text, c.Advice)
		}
	}
	portal, err := snapshot.Pull(ctx, n.portal, client)
	if err != nil {
		return nil, fmt.Errorf("portal %s: %w", u.Host, err)
	}
	if portal.Knows(snapshot.PartScopes) && !slices.Contains(portal.Scopes, "crm") {
		return nil, fmt.Errorf("portal %s: the webhook has no permission for the CRM: tick crm and lists in its form, and run init again", u.Host)
	}
	return portal, nil
}

// choose chooses the rule set and its inputs.
func (n *initialisation) choose(ctx context.Context, portal *snapshot.Snapshot) (*setup.Inputs, error) {
	if n.set == "" {
		if err := listCatalogue(environment{Std: Std{Out: n.env.Err}, actions: n.env.actions}, "text", n.lang, nil); err != nil {
			return nil, err
		}
	}
	for n.set == "" {
		answer, err := n.askFor(ctx, "", "Rule set:", "name it with --rules NAME, b24rules catalogue list shows the names")
		if err != nil {
			return nil, err
		}
		if n.found, err = catalogueSet([]string{answer}); err != nil {
			n.env.say("%v", err)
			continue
		}
		n.set = n.found.Name
	}
	set, err := compileSet(n.env, n.found)
	if err != nil {
		return nil, err
	}
	return n.inputs(ctx, set, portal)
}

// files are the files to write.
func (n *initialisation) files(dir string, portal *snapshot.Snapshot, inputs *setup.Inputs) ([]setup.File, error) {
	text := n.configuration(inputs).Text()
	if err := checkConfiguration(dir, text); err != nil {
		return nil, err
	}
	out := []setup.File{{Path: config.DefaultFile, Data: text}}
	if portal != nil {
		known, err := portal.Encode()
		if err != nil {
			return nil, err
		}
		out = append(out, setup.File{Path: "rules/" + snapshot.FileName(n.portal), Data: known})
	}
	secrets := map[string]string{"webhook": n.webhook, "token": cmp.Or(n.token, config.PlaceholderToken+rand.Text())}
	if n.app.Portal != "" {
		secrets = map[string]string{"secret": n.app.Secret}
	}
	for _, kind := range slices.Sorted(maps.Keys(secrets)) {
		out = append(out, setup.File{Path: "secrets/" + n.portal + "." + kind, Data: []byte(secrets[kind] + "\n"), Secret: true})
	}
	out = append(out,
		setup.File{Path: "secrets/.gitignore", Data: []byte("*\n")},
		setup.File{Path: ".gitignore", Data: []byte(ignored), Optional: true},
		setup.File{Path: ".vscode/settings.json", Data: []byte(editorSettings), Optional: true},
	)
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
		out = append(out, setup.File{Path: ".github/workflows/rules.yaml", Data: []byte(docs.Job("GitHub")), Optional: true})
	case "gitlab":
		out = append(out, setup.File{Path: ".gitlab-ci.yml", Data: []byte(docs.Job("GitLab")), Optional: true})
	}
	return out, nil
}

// ignored is what git must not have: the database holds events and tokens.
const ignored = "b24rules.db*\nsecrets/\n"

// sayKept names the files that existed. Those of an editor or a job do not matter to serve, but data must
// not get into git.
func (n *initialisation) sayKept(dir string, files []setup.File) {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if f.Path == ".gitignore" {
			n.env.say("kept %s: add the lines %s to it", path, strings.Join(strings.Fields(ignored), " and "))
			continue
		}
		n.env.say("kept %s, which exists already", path)
	}
}

const editorSettings = `{
  "yaml.schemas": {
    "schemas/rules.schema.json": ["rules/*.yaml", "!rules/*_test.yaml"],
    "schemas/tests.schema.json": "rules/*_test.yaml",
    "schemas/config.schema.json": "b24rules.yaml"
  }
}
`

// configuration are the answers for b24rules.yaml.
func (n *initialisation) configuration(inputs *setup.Inputs) setup.Configuration {
	return setup.Configuration{Portal: n.portal, Listen: n.listen, HTTPS: n.https, Application: n.app, RuleSet: n.set, Inputs: inputs}
}

// checkConfiguration reports an answer that is no valid value of the configuration. The
// secret files do not exist yet.
func checkConfiguration(dir string, text []byte) error {
	_, list := config.Parse(filepath.Join(dir, config.DefaultFile), text, func(string) (string, bool) { return "set later", true })
	for _, f := range list {
		if f.Severity == diag.Error && f.Code != "unreadable-file" {
			hint := ""
			if f.Hint != "" {
				hint = " (" + f.HintText() + ")"
			}
			return valuef("nothing was written: %s%s", f.Text(), hint)
		}
	}
	return nil
}

// eventCodes are the codes of the portal's events that the rules need, sorted and each once.
func eventCodes(set *engine.RuleSet) (codes []string) {
	for _, r := range set.Rules {
		for _, t := range r.Triggers {
			if !strings.HasPrefix(t.Code, engine.OwnCode) {
				codes = append(codes, t.Code)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// report lists what was written and names the next commands.
func (n *initialisation) report(dir string, files []setup.File, set *engine.RuleSet) error {
	for _, f := range files {
		n.env.say("wrote %s", filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	handler := n.configuration(nil).Handler()
	if n.app.Portal != "" {
		n.env.say("next: enter %s in the application's form, as the handler path and as the path for the initial installation (docs/portal.md)", handler)
		n.env.say("next: start serve, choose reinstall in the menu of the application, and wait until the log of serve shows application installed")
	} else if codes := eventCodes(set); n.token == "" && len(codes) > 0 {
		n.env.say("next: make an outbound webhook for %s with the handler address %s (docs/portal.md), and put its application token into %s",
			strings.Join(codes, ", "), handler, filepath.Join(dir, "secrets", n.portal+".token"))
	}
	n.sayVariables()
	at := filepath.Join(dir, config.DefaultFile)
	commands := []string{"doctor", "serve"}
	if n.app.Portal != "" {
		commands = []string{"serve", "doctor", "schema pull"}
	}
	for _, c := range commands {
		if _, err := fmt.Fprintf(n.env.Out, "b24rules %s --config %s\n", c, at); err != nil {
			return err
		}
	}
	return nil
}
