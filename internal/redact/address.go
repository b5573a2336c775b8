package redact

import (
	"regexp"
	"strings"
)

// hideInAddresses hides the password before a host, the code of a webhook, and tokens
// among the parameters.
func hideInAddresses(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i+3])
		s = s[i+3:]
		end := strings.IndexAny(s, " \t\r\n\"'<>")
		if end < 0 {
			end = len(s)
		}
		b.WriteString(hideInAddress(s[:end]))
		s = s[end:]
	}
}

// webhookCode is the code in the path of a webhook.
var webhookCode = regexp.MustCompile(`(/rest/[0-9]+/)[0-9A-Za-z]{10,}(/|$)`)

func hideInAddress(a string) string {
	host, rest := a, ""
	if i := strings.IndexAny(a, "/?#"); i >= 0 {
		host, rest = a[:i], a[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, _, _ := strings.Cut(host[:i], ":")
		host = user + ":" + Hidden + host[i:]
	}
	path, query, ok := strings.Cut(rest, "?")
	path = webhookCode.ReplaceAllString(path, "${1}"+Hidden+"${2}")
	if !ok {
		return host + path
	}
	return host + path + "?" + hideInQuery(query)
}
