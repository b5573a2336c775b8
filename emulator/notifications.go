package emulator

import (
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

func notifyMethods() []rest.Method {
	return []rest.Method{
		{Name: "im.notify", Scope: "im", Legacy: true, Run: notifyAny},
		{Name: "im.notify.personal.add", Scope: "im", Legacy: true, Run: notifyAs("USER")},
		{Name: "im.notify.system.add", Scope: "im", Legacy: true, Run: notifyAs("SYSTEM")},
	}
}

// Notifications returns the messages to users in their order. A message that another
// one with its tag replaced is missing.
func (p *Portal) Notifications() []model.Notification {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.store.Notifications)
}

// attachLimit is how many characters an attachment may have.
const attachLimit = 60_000

// notifyAny is im.notify, where TYPE says which of the two it is.
func notifyAny(c *rest.Call) (any, error) {
	kind := "USER"
	if value.Text(c.Param("TYPE")) == "SYSTEM" {
		kind = "SYSTEM"
	}
	return notifyAs(kind)(c)
}

// notifyAs tells a user something. The result is the id, a number.
// https://apidocs.bitrix24.com/api-reference/chats/notifications/im-notify-system-add.html
func notifyAs(kind string) rest.Handler {
	return func(c *rest.Call) (any, error) {
		to := value.Int(value.FirstSet(c.Param("USER_ID"), c.Param("TO")))
		text := strings.TrimSpace(value.Text(c.Param("MESSAGE")))
		switch {
		case to <= 0:
			return nil, rest.Fail("USER_ID_EMPTY", "User ID can't be empty")
		case text == "":
			return nil, rest.Fail("MESSAGE_EMPTY", "Message can't be empty")
		}
		if err := checkAttach(c.Param("ATTACH")); err != nil {
			return nil, err
		}
		s := c.Store
		n := model.Notification{
			ID: s.Next("notification"), At: c.Now.In(s.Zone.Location), To: to, Text: text, Out: value.Text(c.Param("MESSAGE_OUT")),
			Tag: value.Text(c.Param("TAG")), SubTag: value.Text(c.Param("SUB_TAG")), System: kind == "SYSTEM",
		}
		if !n.System {
			n.From = c.Request.By.User
		}
		if n.Tag != "" {
			s.Notifications = slices.DeleteFunc(s.Notifications, func(x model.Notification) bool { return x.To == n.To && x.Tag == n.Tag })
		}
		s.Notifications = append(s.Notifications, n)
		return value.FromInt(n.ID), nil
	}
}

// checkAttach checks that an attachment is an array, or JSON of one.
func checkAttach(v any) error {
	raw, isText := v.(string)
	if a, ok := value.Array(v); ok {
		encoded, _ := php.EncodeJSON(a) // it came from a call
		raw = string(encoded)
	}
	switch {
	case value.IsEmpty(v):
		return nil
	case len(raw) > attachLimit:
		return rest.Fail("ATTACH_OVERSIZE", "You have exceeded the maximum allowable size of attach")
	case isText:
		decoded, err := php.DecodeJSON([]byte(raw))
		if _, ok := value.Array(decoded); err != nil || !ok {
			return rest.Fail("ATTACH_ERROR", "Incorrect attach params")
		}
	case raw == "":
		return rest.Fail("ATTACH_ERROR", "Incorrect attach params")
	}
	return nil
}
