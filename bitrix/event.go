package bitrix

import (
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/b24rules/b24rules/internal/php"
)

// Event is what a portal posts when something has changed. It says that an
// object changed, never what.
type Event struct {
	// Code is the event's code in upper case: ONCRMDEALUPDATE.
	Code string
	// HandlerID is the id of the subscription, "" when not sent.
	HandlerID string
	// Data is data[...]; empty when the event has none. All scalars are text.
	Data *php.Array
	// Time is when the portal's queue sent the event, zero when it does not say.
	// It is not when the change was made.
	Time time.Time
	Auth EventAuth
}

// EventAuth is where an event says that it comes from. Only the application
// token proves it.
type EventAuth struct {
	Domain string
	// MemberID is the portal's id, which survives a renaming.
	MemberID         string
	ClientEndpoint   string // where the portal's REST API is
	ApplicationToken Secret
	// AccessToken is sent to applications only, and only when a person caused
	// the event.
	AccessToken Secret
	// RefreshToken is sent with installations and notices of offline events.
	RefreshToken Secret
	UserID       string
	Scope        string
	Status       string
}

// eventLimits bound an event's form. Real ones have about twenty values.
var eventLimits = php.Limits{Values: 1000, Depth: 16, KeyBytes: 512}

// maxEvent is the longest body taken; real ones have about 1 KiB.
const maxEvent = 1 << 20

// maxCode is the longest event code taken; the longest documented has 44
// characters.
const maxCode = 100

// noEvent describes a form without an event. Robots and business processes post such
// forms: their sender puts the address of the event handler into an outgoing webhook.
// https://apidocs.bitrix24.com/api-reference/bizproc/bizproc-robot/bizproc-robot-add.html
func noEvent(form *php.Array) error {
	document, ok := form.Get("document_id")
	if !ok {
		return errors.New("the form has no event")
	}
	parts, _ := document.(*php.Array)
	return fmt.Errorf("the form has no event: a robot or a business process sent it, for the document %.60q, and robots have another address: /hooks/PORTAL/robot/CODE/SECRET (docs/portal.md, Robots and business processes)", lastPart(parts))
}

// ParseEvent reads the body of an event: a form in PHP's bracket notation. An
// absent content type counts as a form, every other is refused.
// Source: https://apidocs.bitrix24.com/api-reference/events/index.html
func ParseEvent(contentType string, body []byte) (Event, error) {
	form, err := parseForm(contentType, body)
	if err != nil {
		return Event{}, err
	}
	e := Event{Code: strings.ToUpper(textAt(form, "event")), HandlerID: textAt(form, "event_handler_id"), Data: php.NewArray()}
	switch {
	case e.Code == "":
		return Event{}, noEvent(form)
	case len(e.Code) > maxCode || strings.IndexFunc(e.Code, notCode) >= 0:
		return Event{}, errors.New("the event's code is not letters, digits, dots and _")
	}
	if data, _ := form.Get("data"); data != nil && data != "" {
		a, ok := data.(*php.Array)
		if !ok {
			return Event{}, errors.New("data is text, want data[...]")
		}
		e.Data = a
	}
	if err := validText(e.Data); err != nil {
		return Event{}, err
	}
	if n, err := strconv.ParseInt(textAt(form, "ts"), 10, 64); err == nil && n > 0 && n < maxUnix {
		e.Time = time.Unix(n, 0)
	}
	e.Auth = authOf(form)
	return e, nil
}

// parseForm reads a form in PHP's bracket notation.
func parseForm(contentType string, body []byte) (*php.Array, error) {
	if contentType != "" {
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil || media != "application/x-www-form-urlencoded" {
			return nil, fmt.Errorf("content type %.60q, want application/x-www-form-urlencoded", contentType)
		}
	}
	if len(body) > maxEvent {
		return nil, fmt.Errorf("a body of %d bytes, want at most %d", len(body), maxEvent)
	}
	return php.ParseStr(string(body), eventLimits)
}

func authOf(form *php.Array) EventAuth {
	auth, _ := form.Get("auth")
	a, _ := auth.(*php.Array)
	return EventAuth{
		Domain: textAt(a, "domain"), MemberID: textAt(a, "member_id"), ClientEndpoint: textAt(a, "client_endpoint"),
		ApplicationToken: Secret(textAt(a, "application_token")), AccessToken: Secret(textAt(a, "access_token")),
		RefreshToken: Secret(textAt(a, "refresh_token")), UserID: textAt(a, "user_id"), Scope: textAt(a, "scope"), Status: textAt(a, "status"),
	}
}

// maxUnix is the end of the year 9999, the last that JSON can hold.
const maxUnix = 253402300800

func notCode(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.'
}

// validText refuses bytes that are no UTF-8: they could not be stored as JSON
// without change.
func validText(a *php.Array) error {
	for k, v := range a.All() {
		if !utf8.ValidString(k) {
			return errors.New("data has a key that is not UTF-8")
		}
		switch v := v.(type) {
		case string:
			if !utf8.ValidString(v) {
				return errors.New("data is not UTF-8")
			}
		case *php.Array:
			if err := validText(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func textAt(a *php.Array, key string) string {
	v, _ := a.Get(key)
	s, _ := v.(string)
	return s
}

// Field returns data[FIELDS][name], "" when there is none. Tasks have
// FIELDS_AFTER and FIELDS_BEFORE instead, with the text "undefined" for the side
// that does not exist; timeline comments have data[ID].
func (e Event) Field(name string) string {
	for _, group := range []string{"FIELDS", "FIELDS_AFTER", "FIELDS_BEFORE"} {
		v, _ := e.Data.Get(group)
		if a, ok := v.(*php.Array); ok {
			if _, ok := a.Get(name); ok {
				return textAt(a, name)
			}
		}
	}
	return textAt(e.Data, name)
}
