package bitrix

import (
	"context"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/batch"
)

// sender turns calls into commands, and the replies to them into answers.
type sender struct {
	batcher   *batch.Batcher
	safeAfter time.Duration // how long the portal may work on a lost request
}

// do sends calls unchanged and waits for their answers.
func (s *sender) do(ctx context.Context, calls ...Call) []Answer {
	answers := make([]Answer, len(calls))
	commands := make([]batch.Command, 0, len(calls))
	for i, call := range calls {
		cmd, err := call.command()
		if err != nil {
			answers[i] = noAnswer(err)
			continue
		}
		commands = append(commands, cmd)
	}
	replies := s.batcher.Do(ctx, commands)
	for i, call := range calls {
		if answers[i].Err == nil {
			answers[i], replies = s.answer(call, replies[0]), replies[1:]
		}
	}
	return answers
}

// send sends one command of a call.
func (s *sender) send(ctx context.Context, call Call, cmd batch.Command) Answer {
	return s.answer(call, s.batcher.Do(ctx, []batch.Command{cmd})[0])
}

// command prepares a call. The error is a *Error.
func (c Call) command() (batch.Command, error) {
	cmd, err := batch.NewCommand(c.Method, c.Params)
	if err != nil {
		return cmd, &Error{Method: c.Method, Code: codeArgument, Detail: err.Error(), Outcome: NotExecuted, cause: err}
	}
	cmd.Write, cmd.Unordered, cmd.Deadline, cmd.Parallel, cmd.WithNext, cmd.Shared = c.Write, c.Unordered, c.Deadline, c.Parallel, c.WithNext, c.Shared
	switch {
	case c.background:
		cmd.Rank = batch.Background
	case c.Repair:
		cmd.Rank = batch.Repair
	case c.Immediate:
		cmd.Rank = batch.Immediate
	}
	return cmd, nil
}

// answer reads the reply to a call.
func (s *sender) answer(call Call, r batch.Reply) Answer {
	a := Answer{Result: r.Result, Total: r.Total, Next: r.Next, Batch: r.Batch}
	if r.Err == nil {
		return a
	}
	e := s.failure(r.Err).of(call.Method)
	if !call.Write {
		e.SafeAfter = time.Time{} // a read can be repeated without harm
	}
	if !r.NotBefore.IsZero() {
		e.NotBefore = r.NotBefore
	}
	a.Err = e
	return a
}

// failure is the error of a reply.
func (s *sender) failure(err error) *Error {
	q, ok := err.(*batch.QueueError) //nolint:errorlint // a Reply has this type of error
	if !ok {
		return err.(*Error) //nolint:errorlint,forcetypeassert // or this one, which transport made
	}
	e := &Error{Detail: q.Detail, Outcome: NotExecuted, cause: q.Cause}
	switch q.Reason {
	case batch.NotSendable:
		e.Code = codeArgument
	case batch.Stale:
		e.Detail, e.passing, e.cause = "not sent: "+ErrStale.Error(), true, ErrStale
	case batch.QueueFull:
		e.passing = true
	case batch.HeldBack:
		e.Code = CodeOperationLimit
	case batch.GaveUp:
	}
	if q.Sent {
		e.Outcome, e.SafeAfter = Unknown, time.Now().Add(s.safeAfter)
	}
	return e
}
