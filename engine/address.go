package engine

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// URL is the address of a request to another system. In an argument of this type, data
// decides neither scheme nor host nor port, and is escaped in path and query.
type URL string

// evalURL computes an address. The compiler has checked that data is only in the path or
// the query; this checks it again with the values of the run.
func (v *Value) evalURL(ctx context.Context, sc Scope) (any, error) {
	if !v.FromData() {
		return v.Eval(ctx, sc)
	}
	if v.Template == nil {
		return nil, v.Errorf("data of the portal would decide the host of the request")
	}
	start := ""
	text, err := v.Template.EvalEscaped(sc.Machine, sc.Vars, func(before, text string) (string, error) {
		if start == "" {
			start = before
		}
		return escapeInURL(before, text)
	})
	if err != nil {
		return nil, v.placed(err, 0)
	}
	if err := checkURLStart(start, text); err != nil {
		return nil, v.Errorf("%w", err)
	}
	return text, nil
}

// escapeInURL escapes data for its place in an address.
func escapeInURL(before, text string) (string, error) {
	if strings.ContainsAny(before, "?#") {
		return url.QueryEscape(text), nil
	}
	if text == "" {
		return "", errors.New("a value in the path of the address is empty")
	}
	return url.PathEscape(text), nil
}

// checkURLStart checks that the text before the first data has scheme, host and port of
// the address, and that data does not lead out of the path.
func checkURLStart(start, whole string) error {
	if !HasHost(start) {
		return errors.New("data of the portal would decide the host of the request")
	}
	before, err := url.Parse(start)
	if err != nil {
		return errors.New("the start of the address cannot be read")
	}
	after, err := url.Parse(whole)
	if err != nil || after.Scheme != before.Scheme || after.Host != before.Host || after.User.String() != before.User.String() {
		return errors.New("data of the portal would decide the host of the request")
	}
	for segment := range strings.SplitSeq(after.EscapedPath(), "/") {
		if segment == "." || segment == ".." {
			return errors.New("data of the portal would change the path of the address")
		}
	}
	return nil
}

// HasHost reports whether the start of an address has its scheme, host and port: the text
// that follows cannot change them.
func HasHost(start string) bool {
	_, rest, ok := strings.Cut(start, "://")
	return ok && strings.IndexAny(rest, "/?#") > 0
}
