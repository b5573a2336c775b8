package run

import (
	"context"
	"encoding/json"
	"time"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
)

// Post sends a request by Run.Send if that is set, otherwise by send, and adds it to the
// history. A dry run records the request and sends nothing.
func (h *callHost) Post(ctx context.Context, p engine.Post, send engine.SendFunc) (reply engine.Reply, sent bool, err error) {
	x := h.x
	p.Method, p.Private = h.trace.Action, x.run.Private
	call := p.Call()
	if r := x.run.DryRun; r != nil {
		r.Outside(h.trace.Step, call)
		return engine.Reply{}, false, nil
	}
	if x.run.Send != nil {
		send = x.run.Send
	}
	started := time.Now()
	reply, err = send(ctx, p)
	reply.Body = x.redactor.Known(reply.Body)
	if err != nil {
		err = x.redactor.Error(err)
	} else {
		x.usage.writes.Add(1)
		x.trace.Count(h.trace, 0, 1)
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
