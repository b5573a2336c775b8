package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/payload"
	"github.com/b24rules/b24rules/internal/ingest"
	"github.com/b24rules/b24rules/internal/journal"
	"github.com/b24rules/b24rules/schemas"
)

// hookCredentials returns what proves the requests to a hook of a portal.
func (in *intake) hookCredentials(portal, name string) (ingest.Credentials, bool) {
	p := in.portals.get(portal)
	if p == nil {
		return ingest.Credentials{}, false
	}
	credentials, ok := p.hooks[name]
	return credentials, ok
}

// robotCredentials returns what proves the requests of a portal's robots.
func (in *intake) robotCredentials(portal string) (ingest.Credentials, bool) {
	p := in.portals.get(portal)
	if p == nil {
		return ingest.Credentials{}, false
	}
	return p.robots, true
}

// receiveRequest stores what another system or a robot has sent, and the run that it
// starts.
func (in *intake) receiveRequest(ctx context.Context, portal string, r ingest.Request) error {
	if r.Robot != "" {
		return in.receiveRobot(ctx, portal, r)
	}
	return in.receiveHook(ctx, portal, r)
}

// receiveHook stores a request of another system. It is checked before, so that the sender
// gets the findings.
func (in *intake) receiveHook(ctx context.Context, portal string, r ingest.Request) error {
	data, problems := payload.ReadBody(r.ContentType, r.Encoding, r.Body)
	if len(problems) > 0 {
		return in.refuse(ctx, portal, r, problems)
	}
	e := engine.HookEvent(r.Hook, requestID(), data)
	gen := in.rules.Current()
	rule, inputs, ok := gen.Hook(portal, r.Hook)
	switch {
	case !ok && len(gen.Missing(portal)) == 0:
		return ingest.Untaken(fmt.Errorf("no rule of portal %s takes the hook %s", portal, r.Hook))
	case ok:
		// What the form does not name is not stored.
		read, err := rule.Unwrap(e)
		if err == nil {
			_, err = rule.HookEntity(portal, e, inputs)
		}
		if err != nil {
			return in.refuse(ctx, portal, r, problemsOf(err))
		}
		e.Data["data"] = read.Data
	}
	return in.storeOwn(ctx, portal, e, nil)
}

// problemsOf are the findings of an error of Rule.HookEntity.
func problemsOf(err error) []payload.Problem {
	var unfit *payload.Error
	if errors.As(err, &unfit) {
		return unfit.Problems
	}
	return []payload.Problem{{Message: err.Error()}}
}

// receiveRobot stores the call of a robot or of a business process. The portal does not
// repeat it, so it is kept in memory when the database does not take it.
func (in *intake) receiveRobot(ctx context.Context, portal string, r ingest.Request) error {
	call, err := bitrix.ParseRobot(r.ContentType, r.Body)
	if err != nil {
		return in.refuse(ctx, portal, r, []payload.Problem{{Path: "document_id", Message: err.Error()}})
	}
	typeID := call.TypeID
	if owner, ok := schemas.LookupOwner(call.Kind); ok {
		typeID = owner.ID
	}
	if typeID == 0 {
		return in.refuse(ctx, portal, r, []payload.Problem{{Path: "document_id", Message: fmt.Sprintf("names an entity of the unknown kind %.60q", call.Kind)}})
	}
	query := map[string]string{}
	for name, values := range r.Query {
		if len(query) == mostQuery {
			break
		}
		query[strings.ToValidUTF8(name, "\uFFFD")] = strings.ToValidUTF8(values[0], "\uFFFD")
	}
	e := engine.RobotEvent(r.Robot, typeID, call.ID, query)
	gen := in.rules.Current()
	if len(gen.Route(portal, e)) == 0 && len(gen.Missing(portal)) == 0 {
		return in.refuse(ctx, portal, r, []payload.Problem{{
			Path: "document_id", Message: fmt.Sprintf("no rule takes the robot %.64s for %s", r.Robot, engine.TypeWord(typeID)),
		}})
	}
	return in.storeOwn(ctx, portal, e, in.unstored.keep)
}

// mostQuery is how many values of an address a robot's event has.
const mostQuery = 50

// storeOwn stores a request and its runs. failed, if not nil, receives one that could not
// be stored.
func (in *intake) storeOwn(ctx context.Context, portal string, e engine.Event, failed func(journal.Event)) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("request %s: %w", e.Code, err)
	}
	stored := journal.Event{Portal: portal, Code: e.Code, Data: data, Sent: time.Now()}
	if e, err = engineEvent(stored); err != nil {
		return err
	}
	if err := in.store(ctx, stored, e); err != nil {
		if failed != nil {
			failed(stored)
		}
		return err
	}
	return nil
}

// mostRefused is how many bytes of a refused request are kept for the operator.
const mostRefused = 16 << 10

// refuse keeps a request that starts no run, with the findings, and returns the answer.
func (in *intake) refuse(ctx context.Context, portal string, r ingest.Request, problems []payload.Problem) error {
	body := strings.ToValidUTF8(string(r.Body[:min(len(r.Body), mostRefused)]), "\uFFFD")
	kept := map[string]any{"findings": problems, "body": body}
	if r.Robot != "" {
		kept["robot"] = r.Robot
	} else {
		kept["hook"] = r.Hook
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := in.queue.Push(ctx, journal.Event{Portal: portal, Code: engine.CodeRefused, Data: data, Sent: time.Now()}, nil); err != nil {
		return err
	}
	answer, err := json.Marshal(problems)
	if err != nil {
		return err
	}
	return ingest.Unfit(answer, &payload.Error{Problems: problems})
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
