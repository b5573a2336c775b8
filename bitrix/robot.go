package bitrix

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/php"
)

// RobotCall is what the outgoing webhook of a robot or of a business process posts.
type RobotCall struct {
	// Kind is the kind of the entity as the portal writes it in small letters: deal,
	// smart_invoice; "dynamic" for an item of a smart process.
	Kind string
	// TypeID is the entityTypeId of a smart process, 0 for other kinds.
	TypeID int
	// ID is the id of the entity.
	ID   string
	Auth EventAuth
}

// ParseRobot reads the body of a call. Nothing in it proves where it comes from.
// https://apidocs.bitrix24.com/api-reference/bizproc/bizproc-robot/bizproc-robot-add.html
func ParseRobot(contentType string, body []byte) (RobotCall, error) {
	form, err := parseForm(contentType, body)
	if err != nil {
		return RobotCall{}, err
	}
	document, ok := form.Get("document_id")
	if !ok {
		return RobotCall{}, errors.New("the form has no document_id, so no robot and no business process sent it")
	}
	parts, _ := document.(*php.Array)
	call := RobotCall{Auth: authOf(form)}
	if call.Kind, call.TypeID, call.ID, ok = splitDocument(lastPart(parts)); !ok {
		return RobotCall{}, fmt.Errorf("the document %.60q is no entity of the CRM such as DEAL_12 or DYNAMIC_147_1", lastPart(parts))
	}
	return call, nil
}

// lastPart returns the part of a document's id that names the entity: the keys are [] or
// [0], [1] and [2].
func lastPart(parts *php.Array) string {
	if parts == nil {
		return ""
	}
	return textAt(parts, "2")
}

// splitDocument splits DEAL_12, SMART_INVOICE_7 and DYNAMIC_147_1.
func splitDocument(text string) (kind string, typeID int, id string, ok bool) {
	i := strings.LastIndexByte(text, '_')
	if i <= 0 {
		return "", 0, "", false
	}
	kind, id = strings.ToLower(text[:i]), text[i+1:]
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 || strconv.FormatInt(n, 10) != id {
		return "", 0, "", false
	}
	if number, dynamic := strings.CutPrefix(kind, "dynamic_"); dynamic {
		typeID, err := strconv.Atoi(number)
		return "dynamic", typeID, id, err == nil && typeID > 0
	}
	return kind, 0, id, true
}
