package emulator

import (
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// runBatch is batch: its commands run one after the other, each is answered for
// itself, and none is undone. It is 200 whatever they come to.
// https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
func (s *server) runBatch(req *exchange) *answer {
	start := time.Now()
	req.batch = true
	halt, _ := value.UpperKeys(req.params).Get("HALT")
	b := &batchState{php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray()}
	count := 0
	for key, command := range req.commands() {
		count++
		a := s.batchCommand(req, command, b, count > maxBatch)
		if req.broken != nil {
			return a
		}
		if failed := b.add(key, a); failed && !value.IsEmpty(halt) {
			break
		}
	}
	if !req.inside {
		s.p.mu.Lock()
		s.p.journal.batches++
		s.p.mu.Unlock()
	}
	// The batch itself spends no execution time; its commands do.
	return &answer{
		result: value.Object("result", b.result, "result_error", b.errors, "result_total", b.total,
			"result_next", b.next, "result_time", b.time),
		time: timing(s.p.cfg.Location, start, time.Now(), 0, start.Add(operatingWindow)),
	}
}

// batchCommand runs one command.
func (s *server) batchCommand(req *exchange, command string, b *batchState, tooMany bool) *answer {
	name, query := splitCommand(command)
	params := b.resolve(parseForm(query))
	m, err := s.find(name)
	switch {
	case tooMany:
		err = refusalOf("ERROR_BATCH_LENGTH_EXCEEDED")
	case isAlone(name):
		err = refusalOf("ERROR_BATCH_METHOD_NOT_ALLOWED")
	}
	if err != nil {
		return s.failed(req, name, params, err)
	}
	if req.inside {
		return s.run(req, m, params, nil)
	}
	return s.execute(req, m, params)
}
