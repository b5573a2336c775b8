package emulator

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// noCode is an error whose code is the number 0.
func noCode(text string) error { return &restError{status: 400, code: value.FromInt(0), text: text} }

func argumentError(text string) error {
	return &restError{status: 400, code: "ERROR_ARGUMENT", text: text, argument: "filter"}
}

// restError is an error that a method answers.
type restError struct {
	status   int
	code     any // text, which may be empty, or a number
	text     string
	argument string // which argument it is about, where the portal says so
}

func (e *restError) Error() string { return e.text }

// fail is an error with the usual status, 400: also for what is not found and
// what is forbidden inside the CRM.
func fail(code, text string) error {
	return &restError{status: http.StatusBadRequest, code: code, text: text}
}

func failStatus(status int, code, text string) *restError {
	return &restError{status: status, code: code, text: text}
}

// asRestError takes any other error for a fault of the portal.
func asRestError(err error) *restError {
	if e, ok := errors.AsType[*restError](err); ok {
		return e
	}
	return failStatus(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "Internal server error: "+err.Error())
}

// body is an error as it is answered: no result, and no time.
func (e *restError) body() *php.Array {
	b := value.Object("error", e.code)
	if e.text != "" {
		b.Set("error_description", e.text)
	}
	if e.argument != "" {
		b.Set("argument", e.argument)
	}
	return b
}

func argumentOf(name string) error {
	return &restError{status: 400, code: "ERROR_ARGUMENT", text: "Argument '" + name + "' is null or empty", argument: name}
}

// plainFail is an error of the legacy CRM methods: its code is empty, there is
// only the text.
func plainFail(text string) error { return fail("", text) }

// arrayWanted is what they say of a parameter that is something else.
func arrayWanted(name string) error { return plainFail("Parameter '" + name + "' must be array.") }

// missingParam is the error of the lists methods for a parameter that is not
// there.
func missingParam(name string) error {
	return fail("ERROR_REQUIRED_PARAMETERS_MISSING", fmt.Sprintf("Required parameter `%s` is missing", name))
}

func argumentIs(name, text string) error {
	return &restError{status: 400, code: "ERROR_ARGUMENT", text: text, argument: name}
}

// noLicense refuses what the portal's plan does not have.
func noLicense(what string) *restError {
	return failStatus(http.StatusForbidden, "WRONG_LICENSE", "This feature is not enabled for the current license: "+what)
}
