package bitrix

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/b24rules/b24rules/schemas"
)

// ErrReadOnly is the cause of the error of a call that a client with Config.ReadOnly
// does not send.
var ErrReadOnly = errors.New("this client only reads")

// ownMethods are the writes that a client with Config.ReadOnly sends. By them an
// application receives its own events; they change nothing in the portal's data.
var ownMethods = map[string]bool{
	"event.bind": true, "event.unbind": true, "event.offline.get": true, "event.offline.clear": true, "event.offline.error": true,
}

// reads reports whether a client with Config.ReadOnly sends a method. A method that the
// table of methods does not have may be a write.
func reads(method string) bool {
	m, known := schemas.LookupMethod(method)
	return known && m.Effect == schemas.Read || ownMethods[strings.ToLower(method)]
}

// onlyReads returns the first command of a request that a client with Config.ReadOnly
// does not send, or ok. It looks at the body that would be sent: a batch has commands,
// and a batch inside of a batch counts as a write.
func onlyReads(method string, body []byte) (command string, ok bool) {
	if !strings.EqualFold(method, "batch") {
		return method, reads(method)
	}
	var batch struct {
		Commands []string `json:"cmd"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return "a batch that cannot be read", false
	}
	for _, command := range batch.Commands {
		name, _, _ := strings.Cut(command, "?")
		if !reads(name) {
			return name, false
		}
	}
	return "", true
}

func errReadOnly(method string) *Error {
	return &Error{Method: method, Code: codeArgument, Detail: "not sent: " + ErrReadOnly.Error() + ", and this method may write", Outcome: NotExecuted, cause: ErrReadOnly}
}
