package rest

import "strings"

// Path is the path of a REST call, taken apart.
type Path struct {
	User, Secret string // of an inbound webhook; empty for an application
	Method       string
	V3, XML      bool
}

// ParsePath takes /rest/{user}/{secret}/{method} and /rest/{method} apart. A
// slash at the end is allowed, and the endings .json and .xml say what to answer.
func ParsePath(path string) (Path, bool) {
	others, ok := strings.CutPrefix(path, "/rest/")
	if !ok {
		return Path{}, false
	}
	parts := strings.Split(strings.Trim(others, "/"), "/")
	switch {
	case parts[0] == "api":
		return Path{V3: true}, true
	case len(parts) == 2: // a webhook's URL without a method
		return Path{User: parts[0], Secret: parts[1]}, true
	case len(parts) == 3:
		method, xml := cutFormat(parts[2])
		return Path{User: parts[0], Secret: parts[1], Method: method, XML: xml}, true
	case len(parts) == 1 && parts[0] != "":
		method, xml := cutFormat(parts[0])
		return Path{Method: method, XML: xml}, true
	}
	return Path{}, false
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
