package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// smallBody is how much of a body every request may hold in memory. Events have
// less than 2 KiB, so larger bodies are rare, and at most largeBodies of them are
// in memory at the same time: a flood of them uses up neither the memory nor the
// room of ordinary events.
const (
	smallBody   = 16 << 10
	largeBodies = 16
)

// read reads a body of bounded length in bounded time: a client that sends a byte
// now and then must not occupy a connection without limit. The caller calls release
// when it no longer needs the body.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	release = func() {}
	if r.ContentLength > h.MaxBody {
		return nil, release, &refusal{status: http.StatusRequestEntityTooLarge, text: "the body is too large"}
	}
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(h.BodyTimeout)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, release, &refusal{status: http.StatusBadRequest, text: "the connection is gone", cause: err}
	}
	from := http.MaxBytesReader(w, r.Body, h.MaxBody)
	body, err = io.ReadAll(io.LimitReader(from, smallBody))
	if err == nil && len(body) == smallBody {
		select {
		case h.large <- struct{}{}:
			release = func() { <-h.large }
		default:
			return nil, release, &refusal{status: http.StatusServiceUnavailable, text: "too many large bodies at once"}
		}
		var rest []byte
		rest, err = io.ReadAll(from)
		body = append(body, rest...)
	}
	if err != nil {
		return nil, release, readError(err)
	}
	// A deadline that stays set would end the wait for the next request.
	_ = deadline.SetReadDeadline(time.Time{})
	return body, release, nil
}

func readError(err error) error {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, text: "the body is too large", cause: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{status: http.StatusRequestTimeout, text: "the body did not arrive in time", cause: err}
	}
	return &refusal{status: http.StatusBadRequest, text: "the body ends early", cause: err}
}
