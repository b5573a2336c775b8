package emulator

import "strings"

// restPath is the path of a REST call, taken apart.
type restPath struct {
	user, secret string // of an inbound webhook; empty for an application
	method       string
	v3, xml      bool
}

// parsePath takes /rest/{user}/{secret}/{method} and /rest/{method} apart. A
// slash at the end is allowed, and the endings .json and .xml say what to answer.
func parsePath(path string) (restPath, bool) {
	others, ok := strings.CutPrefix(path, "/rest/")
	if !ok {
		return restPath{}, false
	}
	parts := strings.Split(strings.Trim(others, "/"), "/")
	switch {
	case parts[0] == "api":
		return restPath{v3: true}, true
	case len(parts) == 2: // a webhook's URL without a method
		return restPath{user: parts[0], secret: parts[1]}, true
	case len(parts) == 3:
		method, xml := cutFormat(parts[2])
		return restPath{user: parts[0], secret: parts[1], method: method, xml: xml}, true
	case len(parts) == 1 && parts[0] != "":
		method, xml := cutFormat(parts[0])
		return restPath{method: method, xml: xml}, true
	}
	return restPath{}, false
}

// cutFormat takes the ending off that says what to answer, in any case.
func cutFormat(name string) (method string, xml bool) {
	at := strings.LastIndexByte(name, '.')
	if at <= 0 {
		return name, false
	}
	switch strings.ToLower(name[at:]) {
	case ".json":
		return name[:at], false
	case ".xml":
		return name[:at], true
	}
	return name, false
}
