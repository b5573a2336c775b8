package ruletest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
)

// errCrash is the error of all calls after a simulated kill.
var errCrash = errors.New("the process was killed")

// recorder is the portal of a run: the real client, which also records writing calls.
type recorder struct {
	*bitrix.Client

	mu sync.Mutex
	// answers are those of the test. used are the ones that the run has had, by their
	// places.
	answers testfile.Answers
	used    map[int]bool
	// needed are the answers that a run of the scene has had, by their places, and asked are
	// the calls that were made.
	needed map[int]bool
	asked  []bitrix.Call
	writes []bitrix.Call // since the last takeWrites
	sent   int           // number of all writes
	// crashAfter is the number of writes after which the run is killed; 0 means never.
	crashAfter int
	kill       context.CancelFunc
	crashed    bool
}

// Do sends calls, up to the write after which the run is killed.
func (r *recorder) Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer {
	r.mu.Lock()
	if r.crashed {
		r.mu.Unlock()
		return failed(len(calls), errCrash)
	}
	last := len(calls)
	for i, c := range calls {
		if !c.Write {
			continue
		}
		r.writes = append(r.writes, c)
		if r.sent++; r.sent == r.crashAfter {
			last, r.crashed = i+1, true
			break
		}
	}
	crashed := r.crashed
	r.mu.Unlock()
	answers := r.send(ctx, calls[:last])
	if crashed {
		r.kill()
		return failed(len(calls), errCrash)
	}
	return answers
}

// send sends the calls for which the test has no answer.
func (r *recorder) send(ctx context.Context, calls []bitrix.Call) []bitrix.Answer {
	answers := make([]bitrix.Answer, len(calls))
	var real []bitrix.Call
	var at []int
	for i, c := range calls {
		if a, ok := r.answerFor(c); ok {
			answers[i] = a
			continue
		}
		real, at = append(real, c), append(at, i)
	}
	if len(real) > 0 {
		for i, a := range r.Client.Do(ctx, real...) {
			answers[at[i]] = a
		}
	}
	return answers
}

// outside answers a request to another system without a network: with 200 and the test's
// answer for the action, or with the status under refuse. A read needs an answer.
func (r *recorder) outside(_ context.Context, p engine.Request) (engine.Reply, error) {
	r.mu.Lock()
	if r.crashed {
		r.mu.Unlock()
		return engine.Reply{}, errCrash
	}
	p.Headers = slices.DeleteFunc(slices.Clone(p.Headers), func(h engine.SecretField) bool { return h.Name == engine.KeyHeader })
	call := p.Call()
	if call.Write {
		r.writes = append(r.writes, call)
		r.sent++
		r.crashed = r.sent == r.crashAfter
	}
	crashed := r.crashed
	r.mu.Unlock()
	if crashed {
		r.kill()
		return engine.Reply{}, errCrash
	}
	reply := engine.Reply{Status: http.StatusOK}
	a, ok := r.pick(call)
	if !ok && p.Reads() {
		return engine.Reply{}, engine.ParkError("the test has no answer for this request: write `answers: {%s: …}`", call.Method)
	}
	if n, err := strconv.Atoi(a.Refuse); err == nil {
		reply.Status = n
	} else if ok {
		raw, err := json.Marshal(a.Result)
		if err != nil {
			return engine.Reply{}, err
		}
		reply.Body = raw
	}
	return reply, nil
}

// pick returns the test's answer to a call, and whether there is one. An answer for a
// single call is used up, unless no other one fits after it.
func (r *recorder) pick(call bitrix.Call) (testfile.Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var params map[string]any
	var fit []int
	r.asked = append(r.asked, call)
	for i, a := range r.answers {
		if r.used[i] || !strings.EqualFold(a.Method, call.Method) {
			continue
		}
		if params == nil && len(a.Params) > 0 {
			params = plainParams(call)
		}
		if callMatches(testfile.Call{Method: a.Method, Params: a.Params}, testfile.Call{Method: call.Method, Params: params}) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return testfile.Answer{}, false
	}
	a := r.answers[fit[0]]
	r.needed[fit[0]] = true
	if a.Single && len(fit) > 1 {
		r.used[fit[0]] = true
	}
	return a, true
}

// answerFor returns the test's answer to a call, read as an answer of a portal.
func (r *recorder) answerFor(call bitrix.Call) (bitrix.Answer, bool) {
	a, ok := r.pick(call)
	switch {
	case !ok:
		return bitrix.Answer{}, false
	case a.Refuse != "":
		return bitrix.Answer{Total: -1, Next: -1, Err: &bitrix.Error{
			Method: call.Method, Status: http.StatusBadRequest, Code: a.Refuse, Detail: "refused by the test", Outcome: bitrix.Executed,
		}}, true
	}
	raw, err := json.Marshal(a.Result)
	if err != nil {
		return bitrix.Answer{Total: -1, Next: -1, Err: err}, true
	}
	return bitrix.AnswerTo(call, raw), true
}

// List reads all pages.
func (r *recorder) List(ctx context.Context, call bitrix.Call, wrapper string) ([]json.RawMessage, error) {
	r.mu.Lock()
	crashed := r.crashed
	r.mu.Unlock()
	if crashed {
		return nil, errCrash
	}
	if a, ok := r.answerFor(call); ok { // it has all rows
		return bitrix.DecodeRows(call.Method, a, wrapper)
	}
	return r.Client.List(ctx, call, wrapper)
}

// takeWrites returns the writes since its last call.
func (r *recorder) takeWrites() []bitrix.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.writes
	r.writes = nil
	return out
}

func failed(n int, err error) []bitrix.Answer {
	out := make([]bitrix.Answer, n)
	for i := range out {
		out[i] = bitrix.Answer{Total: -1, Next: -1, Err: err}
	}
	return out
}
