package docs_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/b24rules/b24rules/internal/app/doctor"
	"github.com/b24rules/b24rules/internal/cause"
	"github.com/b24rules/b24rules/internal/hold"
)

const failuresHead = `# When something fails

<!-- made by make gen from the tables of internal/cause, internal/hold and internal/app/doctor -->

Start with ` + "`b24rules status`" + `: it names the portals and rules that need attention. ` + "`b24rules runs list --state parked --by cause`" + ` groups the runs that have failed by
what made them fail, and ` + "`b24rules runs show RUN`" + ` prints the text of one failure with its place in the rule file. These are the same causes that the
[console](console.md) shows. What ` + "`validate`" + ` reports is in [findings.md](findings.md), and what a portal or another system gets from ` + "`serve`" + ` in
[portal.md](portal.md#the-form-of-an-event).

## Why runs fail

NAME is your portal, METHOD a REST method, STEP and RULE are those of the rule file.

| what you see | what to do |
| --- | --- |
`

const failuresHolds = `
## Why runs wait

Runs do not fail while a portal or a rule is held. They start when the hold ends ([operating.md](operating.md#when-a-portal-is-at-fault)).

| state | meaning | what ends it |
| --- | --- | --- |
`

const failuresDoctor = `
## What doctor checks

` + "`b24rules doctor`" + ` prints a line for each check, and what to do under a check that is not ok ([portal.md](portal.md#checking-the-connection)).

| check | asks | often the reason |
| --- | --- | --- |
`

// holdTexts are what ends each hold.
var holdTexts = [][3]string{
	{hold.Unreachable, "the portal does not answer, or answers with a page instead of REST", "the first answer of the portal; serve asks again automatically"},
	{hold.Unauthorised, "the portal refuses the credentials, was renamed or deleted, or its plan has ended", "a new webhook or a new installation of the application; the waiting runs start at once"},
	{hold.Blocked, "the portal has blocked REST because of too many requests", "the support of Bitrix24; find the program that sends too many requests"},
	{hold.Stopped, "one step of a rule gets the same refusal for five entities in a row", "the right or the permission in the portal, or a new version of the rule"},
	{hold.Broken, "no version of the rule set or of the portal's configuration is valid", "a valid file: `b24rules validate --config b24rules.yaml rules` names the mistake"},
	{hold.Removed, "the rule file or the portal was removed from the configuration", "the file that comes back within 7 days"},
	{"paused", "a person has paused the portal or the rule", "`b24rules runs resume --portal NAME`"},
}

// doctorTexts are what the checks of doctor ask.
var doctorTexts = map[string][2]string{
	"address":      {"does the host of the portal answer, and is its certificate valid", "a wrong address, a firewall, a certificate that has ended"},
	"credentials":  {"does the portal accept the webhook or the application", "a webhook whose user was dismissed, a renamed portal, an unpaid plan"},
	"clock":        {"do the clocks and the time zone agree", "a clock that is not set automatically; `time_zone` of another country"},
	"user":         {"is the user of the credentials an administrator", "a webhook made by an employee who does not see all departments"},
	"scopes":       {"do the credentials have the permissions of the rules", "a new rule that needs `im` or `task`"},
	"places":       {"do the lists, types and fields of the rules exist, and may they be read", "an input with the id of another portal, a renamed field"},
	"time filter":  {"would a catch-up find changes", "an old self-hosted portal"},
	"events":       {"do the events of the rules arrive", "an event that is not ticked in the outbound webhook"},
	"reachability": {"does the portal reach your address, and do its events have the right token", "the token of another outbound webhook, a typo in the handler address, a proxy that does not forward `/hooks/`"},
	"rate":         {"does another program use the rate limit", "a script on the same machine: `shared: true`"},
}

// failuresManual is the page about failures.
func failuresManual(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(failuresHead)
	for _, c := range cause.Known() {
		advice := c.Advice(cause.Where{Portal: "NAME"})
		if advice == "" {
			advice = "The error of the run says it: `b24rules runs show RUN`."
		}
		fmt.Fprintf(&b, "| %s | %s |\n", c.Title(), advice)
	}
	b.WriteString(failuresHolds)
	for _, h := range holdTexts {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", h[0], h[1], h[2])
	}
	b.WriteString(failuresDoctor)
	for _, name := range doctor.Names() {
		text, ok := doctorTexts[name]
		if !ok {
			t.Errorf("doctorTexts lacks the check %s", name)
		}
		fmt.Fprintf(&b, "| `%s` | %s? | %s |\n", name, text[0], text[1])
	}
	if len(doctorTexts) != len(doctor.Names()) {
		t.Error("doctorTexts has a check that doctor does not make")
	}
	return b.Bytes()
}
