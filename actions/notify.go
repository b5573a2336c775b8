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
)

// Notify tells people something in the portal's messenger.
var Notify = engine.Define(engine.Spec[notifyArgs]{
	Name:       "notify",
	Effect:     engine.Writes,
	AlsoCalled: []string{"message", "send_message", "email", "send_email"},
	Doc: `send a notification to people

It appears under the bell of the portal, and in the mail or on the telephone of
those who have asked for that. Everybody is told once, also when they stand in
the list twice; who is nobody (nil, 0) is left out. Text may hold BBCode.

A notification is sent at least once: when its answer is lost it is sent again,
and takes the place of the first, for both carry one tag, made of the rule, the
step, the entity and the text. A tag of your own lets a later notification take
the place of an earlier one with another text. Give the step a once, or people
are told at every edit.`,
	Says: "notifies {to}: {message}",
	Cost: engine.Cost{Typical: engine.Commands(1), Worst: engine.Per("people")},
	Run:  notify,
	// What people are told changes nothing that a rule could hear.
	Touches: func(*engine.ArgTypes) []engine.Touch { return nil },
	Check:   checkNotify,
})

type notifyArgs struct {
	To      any    `yaml:"to" validate:"required" doc:"the id of a user, or a list of ids" example:"=deal.assignedById"`
	Message string `yaml:"message" validate:"required" doc:"what to say" example:"Deal {{ deal.title }} is won"`
	Mail    string `yaml:"mail" doc:"what to say by mail, when that is something else" example:"A deal of yours is won: {{ deal.title }}"`
	From    string `yaml:"from" validate:"oneof=system person" default:"system" doc:"whether it comes from the system or from the person whose webhook it is"`
	Tag     string `yaml:"tag" doc:"a later notification with this tag takes the place of this one" example:"deal-{{ event.id }}"`
}

// checkNotify finds receivers that cannot be any, and a step that tells people
// the same again and again.
func checkNotify(c *engine.StepCheck) {
	t := c.Types().Type("to")
	if t.Kind == formula.List && t.Elem != nil {
		t = *t.Elem
	}
	switch t.Kind {
	case formula.Any, formula.Int, formula.Number:
	default:
		c.Errorf("to", "wrong-type", "argument to takes the id of a user or a list of ids, not %s", t).Hint = "=deal.assignedById"
	}
	if !c.Once() {
		c.Warnf("to", "at-least-once", "they are notified in every run of the rule").Hint = "once: says for which value they are to be told once, such as =deal.stageId"
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
		done, err := wasDone(ctx, c, key, "telling user "+user)
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
			c.Note("there is nobody to notify")
		}
		return nil, nil
	}
	var failed plan.Failures // one who is gone does not keep the others from another attempt
	for i, answer := range c.Portal.Do(ctx, calls...) {
		if answer.Err != nil {
			failed.Add(answer.Err)
			continue
		}
		if err := isDone(ctx, c, keys[i], "telling user "+calls[i].Params["USER_ID"].(string)); err != nil {
			return nil, err
		}
	}
	return nil, failed.Err("notify")
}

// call is the request for one user. By a webhook a tag needs a CLIENT_ID, which
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
			return nil, engine.ParkError("notify: %s is no id of a user", value.TextOf(v))
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, strconv.FormatInt(id, 10))
	}
	return out, nil
}
