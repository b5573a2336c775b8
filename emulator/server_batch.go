package emulator

import (
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// runBatch is batch: its commands run one after the other, each is answered for
// itself, and none is undone. It is 200 whatever they come to.
// https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
func (s *server) runBatch(req *exchange) *rest.Answer {
	start := time.Now()
	req.Batch = true
	halt, _ := value.UpperKeys(req.Params).Get("HALT")
	b := rest.NewBatch()
	count := 0
	for key, command := range req.Commands() {
		count++
		a := s.batchCommand(req, command, b, count > rest.MaxBatch)
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
	return &rest.Answer{
		Result: value.Object("result", b.Result, "result_error", b.Errors, "result_total", b.Total,
			"result_next", b.Next, "result_time", b.Time),
		Time: rest.Timing(s.p.cfg.Location, start, time.Now(), 0, start.Add(rest.OperatingWindow)),
	}
}

// batchCommand runs one command.
func (s *server) batchCommand(req *exchange, command string, b *rest.Batch, tooMany bool) *rest.Answer {
	name, query := rest.SplitCommand(command)
	params := rest.ParseForm(query)
	if !s.p.cfg.NoReferences {
		params = b.Resolve(params)
	}
	m, err := s.find(name)
	switch {
	case tooMany:
		err = rest.Refusal("ERROR_BATCH_LENGTH_EXCEEDED")
	case rest.IsAlone(name):
		err = rest.Refusal("ERROR_BATCH_METHOD_NOT_ALLOWED")
	}
	if err != nil {
		return s.failed(req, name, params, err)
	}
	if req.Inside {
		return s.run(req, m, params, nil)
	}
	return s.execute(req, m, params)
}
