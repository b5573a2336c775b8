package bitrix

import (
	"bytes"
	"io"
	"net/http"
)

// permit makes the body of a request ask Config.Permit when it leaves.
func (t *transport) permit(req *http.Request, body []byte) {
	if t.cfg.Permit == nil {
		return
	}
	// The HTTP transport does the same for the bytes.Reader inside.
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) {
		return &permittedBody{Reader: bytes.NewReader(body), permit: t.cfg.Permit}, nil
	}
	req.Body, _ = req.GetBody() // never fails
}

// A permittedBody is a body that ends in an error without a permit. The HTTP
// transport reads it when it has a connection. The head of the request may have
// left by then. That does no harm: the web server before a portal keeps a request
// back until its body is whole, and drops a request whose body never comes.
type permittedBody struct {
	*bytes.Reader
	permit func() error
}

// Read implements io.Reader.
func (b *permittedBody) Read(p []byte) (int, error) {
	if err := b.permit(); err != nil {
		return 0, &permitError{err}
	}
	return b.Reader.Read(p)
}

// WriteTo implements io.WriterTo and replaces the one of bytes.Reader.
func (b *permittedBody) WriteTo(w io.Writer) (int64, error) {
	if err := b.permit(); err != nil {
		return 0, &permitError{err}
	}
	return b.Reader.WriteTo(w)
}

// Close implements io.Closer.
func (b *permittedBody) Close() error { return nil }

type permitError struct{ err error }

func (e *permitError) Error() string { return e.err.Error() }
func (e *permitError) Unwrap() error { return e.err }

// errNotPermitted is the error of a request that Config.Permit did not let
// leave.
func errNotPermitted(err error) *Error {
	return &Error{Detail: "not sent: " + err.Error(), Outcome: NotExecuted, passing: true, cause: err}
}
