package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/schemas"
)

// Notify sends a notification in the portal's messenger.
var Notify = engine.Define(engine.Spec[notifyArgs]{
	Name:       "notify",
	Effect:     engine.Writes,
	AlsoCalled: []string{"message", "send_message", "email", "send_email"},
	Doc: `send a notification to people

The notification appears under the bell of the portal, and by mail or on the
phone if the user has enabled that. Each user receives it once, even if the list
has the user twice. The step skips empty ids (nil, 0). The text may have BBCode.

A notification is sent at least once. If its answer is lost, the step sends it
again. Both have the same tag, made of the rule, the step, the entity and the
text, so the second replaces the first. With your own tag, a later notification
also replaces an earlier one with another text. Add once to the step, or people
are notified at every edit.`,
	Says: "notifies {to}: {message}",
	Cost: engine.Cost{Typical: engine.Commands(1), Worst: engine.Per("people")},
	Run:  notify,
	// A notification changes nothing that a rule could subscribe to.
	Touches: func(*engine.ArgTypes) []engine.Touch { return nil },
	Methods: func(*engine.ArgTypes) []string { return []string{"im.notify.system.add"} },
	Check:   checkNotify,
})

type notifyArgs struct {
	To      any    `yaml:"to" validate:"required" doc:"the id of a user, or a list of ids" example:"=deal.assignedById"`
	Message string `yaml:"message" validate:"required" doc:"the text" example:"Deal {{ deal.title }} is won"`
	Mail    string `yaml:"mail" doc:"the text for mail, if it differs" example:"A deal of yours is won: {{ deal.title }}"`
	From    string `yaml:"from" validate:"oneof=system person" default:"system" doc:"the sender: the system, or the person who owns the webhook"`
	Tag     string `yaml:"tag" doc:"a later notification with this tag replaces this one" example:"deal-{{ event.id }}"`
}

// checkNotify finds receivers that are not ids of users, and a step that repeats
// its notification in every run.
func checkNotify(c *engine.StepCheck) {
	t := c.Types().Type("to")
	if t.Kind == formula.List && t.Elem != nil {
		t = *t.Elem
	}
	if d := t.Domain; d != nil && d.IDOf != 0 && d.IDOf != schemas.TypeUser {
		c.Warnf("to", "wrong-id", "to takes ids of users, and this is the id of %s", d.IDName)
	}
	switch t.Kind {
	case formula.Any, formula.Int, formula.Number:
	default:
		c.Errorf("to", "wrong-type", "argument to takes the id of a user or a list of ids, not %s", t).Hint = "write to: =deal.assignedById"
	}
	if !c.Remembers() && !c.Ordered() {
		c.Warnf("to", "at-least-once", "the users are notified in every run of the rule").Hint = "add once with the value that allows one notification, such as once: =deal.stageId"
	}
}

func notify(ctx context.Context, c *engine.Call, a notifyArgs) (any, error) {
	users, err := receivers(a.To)
	if err != nil {
		return nil, err
	}
	var calls []bitrix.Call
	var keys []string
	for _, user := range users {
		key := c.Key + "/" + user
		done, err := wasDone(ctx, c, key, "the notification of user "+user)
		if err != nil {
			return nil, err
		}
		if done {
			continue
		}
		calls, keys = append(calls, a.call(c, user)), append(keys, key)
	}
	if len(calls) == 0 {
		if len(users) == 0 {
			c.Note("no users to notify")
		}
		return nil, nil
	}
	var failed plan.Failures // one refused user does not prevent another attempt for the others
	for i, answer := range c.Portal.Do(ctx, calls...) {
		if answer.Err != nil {
			failed.Add(answer.Err)
			continue
		}
		if err := isDone(ctx, c, keys[i], "the notification of user "+calls[i].Params["USER_ID"].(string)); err != nil {
			return nil, err
		}
	}
	return nil, failed.Err("notify")
}

// call is the request for one user. With a webhook, a tag needs a CLIENT_ID, which
// may be any name.
// https://apidocs.bitrix24.com/api-reference/chats/notifications/im-notify-system-add.html
func (a notifyArgs) call(c *engine.Call, user string) bitrix.Call {
	method := "im.notify.system.add"
	if a.From == "person" {
		method = "im.notify.personal.add"
	}
	tag := a.Tag
	if tag == "" {
		sum := sha256.Sum256([]byte(c.Key + "\x00" + a.Message))
		tag = "b24r-" + hex.EncodeToString(sum[:8])
	}
	params := map[string]any{"USER_ID": user, "MESSAGE": a.Message, "TAG": tag, "CLIENT_ID": "b24rules"}
	if a.Mail != "" {
		params["MESSAGE_OUT"] = a.Mail
	}
	return bitrix.Call{Method: method, Params: params, Write: true}
}

// receivers are the ids of users, each once, in their order.
func receivers(to any) ([]string, error) {
	list, several := to.([]any)
	if !several {
		list = []any{to}
	}
	var out []string
	seen := map[int64]bool{0: true}
	for _, v := range list {
		n, ok := value.NumberOf(v)
		id, whole := n.Int64()
		if v != nil && (!ok || !whole || n.Cmp(num.Num{}) < 0) {
			return nil, engine.ParkError("notify: %s is not the id of a user", value.TextOf(v))
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, strconv.FormatInt(id, 10))
	}
	return out, nil
}
