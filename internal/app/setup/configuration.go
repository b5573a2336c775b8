package setup

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

// Configuration are the answers for a new b24rules.yaml. The files with its secrets are in the folder
// secrets.
type Configuration struct {
	Portal string // its name
	// Listen is where a reverse proxy forwards events. HTTPS is the name of this machine if serve
	// obtains a certificate itself, and then Listen does not matter.
	Listen, HTTPS string
	Application   Application
	RuleSet       string
	Inputs        *Inputs // of the rule set
}

// Application is an application of a new configuration. Without Portal there is none, and the portal is
// called by a webhook.
type Application struct {
	Portal     string // its address
	ID, Secret string // client_id and client_secret
	Public     string // where the portal reaches this machine
}

// Handler is the address to which the portal sends its events.
func (c Configuration) Handler() string {
	host := cmp.Or(c.Application.Public, "https://your-host")
	if c.HTTPS != "" {
		host = "https://" + c.HTTPS
	}
	return host + "/hooks/" + c.Portal
}

// Text is the text of the file.
func (c Configuration) Text() []byte {
	var b bytes.Buffer
	public, listen := "", quoted(c.Listen)
	where := fmt.Sprintf("Events arrive here: a reverse proxy forwards %s.", c.Handler())
	if c.HTTPS != "" {
		listen = "{https: " + quoted(c.HTTPS) + "}"
		where = fmt.Sprintf("Events arrive at %s. serve obtains the certificate.", c.Handler())
	}
	access := fmt.Sprintf(`    webhook_file: secrets/%[1]s.webhook
    application_token_file: secrets/%[1]s.token
`, c.Portal)
	if a := c.Application; a.Portal != "" {
		if c.HTTPS == "" {
			public = "public_url: " + quoted(a.Public) + "\n"
		}
		access = fmt.Sprintf(`    oauth:
      portal: %s
      client_id: %q
      client_secret_file: secrets/%s.secret
`, quoted(a.Portal), a.ID, c.Portal)
	}
	fmt.Fprintf(&b, `# yaml-language-server: $schema=schemas/config.schema.json
# %[3]s
listen: %[2]s
%[4]sdatabase: sqlite:b24rules.db
rules: [rules]
portals:
  %[1]s:
%[5]s`, c.Portal, listen, where, public, access)
	if len(c.Inputs.Set.Inputs) > 0 {
		fmt.Fprintf(&b, "    inputs:\n      %s:\n", c.RuleSet)
	}
	for _, in := range c.Inputs.Set.Inputs {
		fmt.Fprintf(&b, "        %s\n", c.Inputs.Line(in))
	}
	return b.Bytes()
}

// plain is what YAML reads as text without quotes, wherever it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9./_-]|:[A-Za-z0-9/])*$`)

// quoted puts quotes around a text that YAML could read as something else.
func quoted(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
