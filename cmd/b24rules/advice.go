package main

import "strings"

// advices say what usually helps, by what an error's text holds; the first that
// fits is given. The queue keeps errors as text.
var advices = [...]struct {
	holds []string
	text  string
}{
	{
		[]string{"ACCESS_DENIED", "USER_ACCESS_ERROR", "Access denied"},
		"The portal does not let the owner of the inbound webhook do this. Give that user the right to the deal, item or list in Bitrix24, then replay.",
	},
	{
		[]string{"insufficient_scope", "INSUFFICIENT_SCOPE"},
		"The inbound webhook lacks a scope. Edit it in Bitrix24 (it needs crm and lists, and what other methods want), then replay.",
	},
	{
		[]string{"INVALID_CREDENTIALS", "NO_AUTH_FOUND", "invalid_token", "INVALID_TOKEN", "expired_token"},
		"The portal does not accept the inbound webhook: it was deleted, or its code is wrong. Make a new one, put it into the configuration, restart serve, then replay all parked runs of the portal.",
	},
	{
		[]string{"OVERLOAD_LIMIT"},
		"The portal has blocked REST because of overload. Only Bitrix24's support can lift that; runs wait until then.",
	},
	{
		[]string{"PORTAL_MOVED"},
		"The portal was renamed. Put the new address into the configuration, restart serve, then replay all parked runs of the portal.",
	},
	{
		[]string{"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"},
		"The portal's limits are used up, by us or by other applications. The run goes on by itself when the portal allows it.",
	},
	{
		[]string{": NETWORK:", "BAD_ANSWER", "no answer within"},
		"The portal could not be reached or answered no JSON. When it is back, replay all parked runs of the portal.",
	},
	{
		[]string{"would delete"},
		"A brake held the deletions back. Look whether the rows are really gone. If they are, raise delete_limit in the rule, which is read again at once, and replay.",
	},
	{
		[]string{"form a ring"},
		"Rules keep triggering each other. Look at what the last runs wrote (b24rules runs list), and let one of the rules write only what differs or give it a condition.",
	},
	{
		[]string{"is not among the rules"},
		"The rule's file was removed or is broken: b24rules validate tells. When the rule is back, replay.",
	},
	{
		[]string{"is no longer in the configuration"},
		"The portal was taken out of the configuration. Put it back and replay, or discard.",
	},
	{
		[]string{"have no field", "has no property", "ERROR_METHOD_NOT_FOUND"},
		"The rule names something that the portal does not have. Mend the rule or the portal, then replay: it takes the rule as it is then.",
	},
	{
		[]string{"REST commands, its limit is"},
		"The run wanted more REST commands than limits.calls of the rule allows. Raise it if that is right, and replay.",
	},
}

// advice is what usually helps against an error; "" when nothing is known.
func advice(text string) string {
	for _, a := range advices {
		for _, h := range a.holds {
			if strings.Contains(text, h) {
				return a.text
			}
		}
	}
	if strings.Contains(text, ".yaml:") {
		return "The error names the place in the rule file. Mend it, check it with b24rules validate, and replay: that takes the rule as it is then."
	}
	return ""
}
