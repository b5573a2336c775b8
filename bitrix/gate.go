package bitrix

import (
	"bytes"
	"io"
	"net/http"
)

// gate makes the body of a request ask Config.Gate when it leaves.
func (c *Client) gate(req *http.Request, body []byte) {
	if c.cfg.Gate == nil {
		return
	}
	// What the transport does by itself for the bytes.Reader inside.
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) {
		return &gatedBody{Reader: bytes.NewReader(body), gate: c.cfg.Gate}, nil
	}
	req.Body, _ = req.GetBody() // never fails
}

// A gatedBody is a body that ends in an error when the gate is shut. The
// transport reads it when it has a connection. The head of the request may have
// left by then, which does no harm: the web server before a portal keeps a
// request back until its body is whole, and drops one whose body never comes.
type gatedBody struct {
	*bytes.Reader
	gate func() error
}

// Read implements io.Reader.
func (b *gatedBody) Read(p []byte) (int, error) {
	if err := b.gate(); err != nil {
		return 0, &gateError{err}
	}
	return b.Reader.Read(p)
}

// WriteTo implements io.WriterTo, in place of the one of bytes.Reader.
func (b *gatedBody) WriteTo(w io.Writer) (int64, error) {
	if err := b.gate(); err != nil {
		return 0, &gateError{err}
	}
	return b.Reader.WriteTo(w)
}

// Close implements io.Closer.
func (b *gatedBody) Close() error { return nil }

type gateError struct{ err error }

func (e *gateError) Error() string { return e.err.Error() }
func (e *gateError) Unwrap() error { return e.err }

// barred is the error of a request that was not let through.
func barred(err error) *Error {
	return &Error{Detail: "not sent: " + err.Error(), Outcome: NotExecuted, passing: true, cause: err}
}
