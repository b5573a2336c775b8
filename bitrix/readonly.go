package bitrix

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
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
		Commands json.RawMessage `json:"cmd"`
	}
	var commands []string
	if err := json.Unmarshal(body, &batch); err != nil {
		return "a batch that cannot be read", false
	}
	if json.Unmarshal(batch.Commands, &commands) != nil {
		var named map[string]string // of pages that refer to each other
		if err := json.Unmarshal(batch.Commands, &named); err != nil {
			return "a batch that cannot be read", false
		}
		commands = slices.Collect(maps.Values(named))
	}
	for _, command := range commands {
		name, _, _ := strings.Cut(command, "?")
		if !reads(name) {
			return name, false
		}
	}
	return "", true
}

// refuseWrite returns an error for a call that a client with Config.ReadOnly does not
// send.
func refuseWrite(call Call) *Error {
	var body []byte
	if strings.EqualFold(call.Method, "batch") { // pages that refer to each other
		body, _ = json.Marshal(call.Params) // without a body no command can be read
	}
	if command, ok := onlyReads(call.Method, body); !ok {
		return errReadOnly(command)
	}
	return nil
}

func errReadOnly(method string) *Error {
	return &Error{Method: method, Code: codeArgument, Detail: "not sent: " + ErrReadOnly.Error() + ", and " + strconv.Quote(method) + " may write", Outcome: NotExecuted, cause: ErrReadOnly}
}
