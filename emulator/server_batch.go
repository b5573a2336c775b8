package emulator

import (
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// runBatch is batch: its commands run one after the other, each is answered for
// itself, and none is undone. It is 200 whatever they come to.
// https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
func (s *server) runBatch(req *exchange) *Answer {
	start := time.Now()
	req.Batch = true
	halt, _ := value.UpperKeys(req.Params).Get("HALT")
	b := &BatchState{php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray()}
	count := 0
	for key, command := range req.Commands() {
		count++
		a := s.batchCommand(req, command, b, count > MaxBatch)
		if req.broken != nil {
			return a
		}
		if failed := b.Add(key, a); failed && !value.IsEmpty(halt) {
			break
		}
	}
	if !req.Inside {
		s.p.mu.Lock()
		s.p.journal.Batches++
		s.p.mu.Unlock()
	}
	// The batch itself spends no execution time; its commands do.
	return &Answer{
		Result: value.Object("result", b.Result, "result_error", b.Errors, "result_total", b.Total,
			"result_next", b.Next, "result_time", b.Time),
		Time: Timing(s.p.cfg.Location, start, time.Now(), 0, start.Add(OperatingWindow)),
	}
}

// batchCommand runs one command.
func (s *server) batchCommand(req *exchange, command string, b *BatchState, tooMany bool) *Answer {
	name, query := SplitCommand(command)
	params := b.Resolve(ParseForm(query))
	m, err := s.find(name)
	switch {
	case tooMany:
		err = Refusal("ERROR_BATCH_LENGTH_EXCEEDED")
	case IsAlone(name):
		err = Refusal("ERROR_BATCH_METHOD_NOT_ALLOWED")
	}
	if err != nil {
		return s.failed(req, name, params, err)
	}
	if req.Inside {
		return s.run(req, m, params, nil)
	}
	return s.execute(req, m, params)
}
