package rest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// FailNoCode is an error whose code is the number 0.
func FailNoCode(text string) error { return &Error{Status: 400, Code: value.FromInt(0), Text: text} }

func WrongFilter(text string) error {
	return &Error{Status: 400, Code: "ERROR_ARGUMENT", Text: text, Argument: "filter"}
}

// Error is an error that a method answers.
type Error struct {
	Status   int
	Code     any // text, which may be empty, or a number
	Text     string
	Argument string // which argument it is about, where the portal says so
}

func (e *Error) Error() string { return e.Text }

// Fail is an error with the usual status, 400: also for what is not found and
// what is forbidden inside the CRM.
func Fail(code, text string) error {
	return &Error{Status: http.StatusBadRequest, Code: code, Text: text}
}

func FailStatus(status int, code, text string) *Error {
	return &Error{Status: status, Code: code, Text: text}
}

// AsError takes any other error for a fault of the portal.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return FailStatus(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "Internal server error: "+err.Error())
}

// Body is an error as it is answered: no result, and no time.
func (e *Error) Body() *php.Array {
	b := value.Object("error", e.Code)
	if e.Text != "" {
		b.Set("error_description", e.Text)
	}
	if e.Argument != "" {
		b.Set("argument", e.Argument)
	}
	return b
}

func MissingArgument(name string) error {
	return &Error{Status: 400, Code: "ERROR_ARGUMENT", Text: "Argument '" + name + "' is null or empty", Argument: name}
}

// FailText is an error of the legacy CRM methods: its code is empty, there is
// only the text.
func FailText(text string) error { return Fail("", text) }

// NoArray is what they say of a parameter that is something else.
func NoArray(name string) error { return FailText("Parameter '" + name + "' must be array.") }

// MissingParam is the error of the lists methods for a parameter that is not
// there.
func MissingParam(name string) error {
	return Fail("ERROR_REQUIRED_PARAMETERS_MISSING", fmt.Sprintf("Required parameter `%s` is missing", name))
}

func WrongArgument(name, text string) error {
	return &Error{Status: 400, Code: "ERROR_ARGUMENT", Text: text, Argument: name}
}

// NoLicense refuses what the portal's plan does not have.
func NoLicense(what string) *Error {
	return FailStatus(http.StatusForbidden, "WRONG_LICENSE", "This feature is not enabled for the current license: "+what)
}
