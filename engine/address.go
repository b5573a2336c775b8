package engine

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/b24rules/b24rules/engine/formula"
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
	text, err := v.Template.EvalEscaped(sc.Machine, sc.Vars, func(before string, hole formula.Part, text string) (string, error) {
		if !hole.FromData {
			return text, nil
		}
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

// SecretURL is a URL that may hold secrets in its path and query. Everything else is as
// for URL.
type SecretURL struct{ SecretText }

// evalSecretURL computes a URL that may hold secrets.
func (v *Value) evalSecretURL(ctx context.Context, sc Scope) (SecretURL, error) {
	if v.Template == nil {
		if v.FromData() {
			return SecretURL{}, v.Errorf("data of the portal would decide the host of the request")
		}
		text, err := v.secretText(ctx, sc, nil)
		return SecretURL{text}, err
	}
	start := ""
	escape := func(before string, hole formula.Part, text string) (string, error) {
		switch {
		case hole.FromData:
			if start == "" {
				start = before
			}
			return escapeInURL(before, text)
		case sc.isSecret(hole.Source) && text != hiddenSecret:
			return escapeSecretInURL(before, text), nil
		}
		return text, nil
	}
	text, err := v.secretText(ctx, sc, escape)
	if err == nil && start != "" {
		if err = checkURLStart(start, text.Reveal()); err != nil {
			err = v.Errorf("%w", err)
		}
	}
	return SecretURL{text}, err
}

// escapeSecretInURL escapes a secret for its place in a URL. In a path it may have several
// segments. Before the path it is a part of the host, which an operator has written.
func escapeSecretInURL(before, text string) string {
	switch {
	case strings.ContainsAny(before, "?#"):
		return url.QueryEscape(text)
	case !HasHost(before):
		return text
	}
	segments := strings.Split(text, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
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
