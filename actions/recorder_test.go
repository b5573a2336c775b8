package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// recorder is the portal of a run; it writes down what it is asked.
type recorder struct {
	*bitrix.Client
	mu    sync.Mutex
	calls strings.Builder
	// before, if not nil, is called before calls are sent.
	before func(calls []bitrix.Call)
	// after, if not nil, may change the answers.
	after func(calls []bitrix.Call, answers []bitrix.Answer)
}

func (r *recorder) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	r.note(calls...)
	if r.before != nil {
		r.before(calls)
	}
	answers := r.Client.Do(ctx, calls...)
	if r.after != nil {
		r.after(calls, answers)
	}
	return answers
}

func (r *recorder) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	r.note(call)
	return r.Client.List(ctx, call, wrapper)
}

// post answers requests to other systems.
func (r *recorder) post(_ context.Context, p engine.Request) (engine.Reply, error) {
	r.note(p.Call())
	return engine.Reply{Status: http.StatusCreated, Body: []byte(`{"reservation":"R-7"}`)}, nil
}

// note writes a group of calls that were ready together as one block.
func (r *recorder) note(calls ...bitrix.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range calls {
		sign := "read "
		if c.Write {
			sign = "write"
		}
		if i > 0 {
			sign = "    + " + sign
		}
		fmt.Fprintf(&r.calls, "%s %s %s\n", sign, c.Method, compact(c.Params))
	}
}

// take returns the calls since the last take.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.calls.Reset()
	return r.calls.String()
}

// peek returns them and forgets nothing.
func (r *recorder) peek() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls.String()
}
