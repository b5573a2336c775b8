package hold

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

const (
	// answerScope does not depend on the entity: the credentials do not include a part
	// of the portal.
	answerScope = "INSUFFICIENT_SCOPE"

	// codeArgument says that the values of the call are wrong.
	codeArgument = "ERROR_ARGUMENT"
)

// AnswerOf names the answer behind an error: the portal's code, the status, that there
// was none, or that the portal has no such field or property. Equal answers have equal
// names. It is "" if the cause is in the entity's own data, such as a formula that fails
// or an entity that does not exist. It is also "" if the portal says when it takes the
// call.
func AnswerOf(err error) string {
	var rest *bitrix.Error
	if errors.As(err, &rest) {
		switch {
		case rest.Code == "" && rest.Status == 0 && rest.Outcome == bitrix.NotExecuted: // it was never sent
			return ""
		case !rest.NotBefore.IsZero(), bitrix.IsNotFound(err), errors.Is(err, bitrix.ErrClosed), errors.Is(err, bitrix.ErrStale),
			errors.Is(err, context.Canceled), bitrix.IsCode(err, codeArgument):
			return ""
		case rest.Status >= 500:
			return "5xx"
		case rest.Code != "":
			return strings.ToUpper(rest.Code)
		}
		return fmt.Sprint(rest.Status, " ", rest.Detail) // legacy methods send a text and no code
	}
	var status *engine.StatusError
	var later *engine.LaterError
	var network net.Error
	var parked *engine.ParkedError
	switch {
	case errors.As(err, &status):
		return strconv.Itoa(status.Status)
	case errors.As(err, &later):
		return "later"
	case errors.As(err, &network):
		return bitrix.CodeNetwork
	case errors.As(err, &parked) && parked.Kind == engine.ParkedByMissing:
		return "missing"
	case errors.As(err, &parked) && parked.Kind == engine.ParkedByDoubling:
		return "doubling"
	}
	return ""
}
