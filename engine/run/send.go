package run

import (
	"context"
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// Send sends a request by Run.Send if that is set, otherwise by send, and adds it to the
// history. A dry run records requests that write and does not send them.
func (h *callHost) Send(ctx context.Context, r engine.Request, send engine.SendFunc) (reply engine.Reply, sent bool, err error) {
	x := h.x
	r.Action, r.Private = h.trace.Action, x.run.Private
	call := r.Call()
	if dry := x.run.DryRun; dry != nil && call.Write {
		dry.Outside(h.trace.Step, call)
		return engine.Reply{}, false, nil
	}
	if x.run.Send != nil {
		send = x.run.Send
	}
	started := time.Now()
	reply, err = send(ctx, r)
	reply.Body = x.redactor.Known(reply.Body)
	switch {
	case err != nil:
		err = x.redactor.Error(err)
	case call.Write:
		x.usage.writes.Add(1)
		x.trace.Count(h.trace, 0, 1)
	default:
		x.trace.Count(h.trace, 1, 0)
	}
	note := history.Command{Call: call, Listed: -1, Err: err, Took: time.Since(started)}
	switch {
	case err == nil && reply.Status/100 != 2:
		note.Err = &engine.StatusError{Status: reply.Status}
	case json.Valid(reply.Body):
		note.Result = reply.Body
	}
	x.trace.Add(h.trace, note)
	return reply, true, err
}
