package rest

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// maxBody is how long a request's body may be; more is cut off, as a portal's
// post_max_size does.
const maxBody = 64 << 20

// maxValues is how many values one request may hold in bracket notation.
const maxValues = 100_000

// Request is one HTTP request that is being answered.
type Request struct {
	Ctx       context.Context
	Path      Path
	Params    *php.Array
	Bearer    string  // the token of the header Authorization
	Source    string  // the address that the bucket counts
	By        Origin  // whom events of its writes come from
	App       bool    // authorized by the application's token
	User      int64   // whose rights it has
	Connector string  // auth_connector, its source key
	Inside    bool    // no REST call, but something that happens in the portal
	Batch     bool    // its commands are those of a batch
	CredKey   string  // who the execution time is counted for
	Raised    []Event // by its commands
}

// Receive waits for the whole body of a request, as the web server before a
// portal does: one that breaks off never reaches the portal, and does not count.
func Receive(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return err
}

// DecodeRequest reads the parameters of a request: the query, and over it a
// form, a multipart form or JSON. What cannot be read is no parameters, and no
// error: the method then misses some.
func DecodeRequest(r *http.Request) *php.Array {
	params := ParseForm(r.URL.RawQuery)
	if r.Method != http.MethodPost || r.Body == nil {
		return params
	}
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	if kind == "multipart/form-data" {
		return overlay(params, multipartParams(r.Body, options["boundary"]))
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return params
	}
	if kind != "application/json" {
		return overlay(params, ParseForm(strings.TrimSpace(string(raw))))
	}
	if v, err := php.DecodeJSON(raw); err == nil {
		if body, ok := value.Array(v); ok {
			return overlay(params, body)
		}
	}
	return params
}

// ParseForm reads bracket notation; what is too much is nothing.
func ParseForm(text string) *php.Array {
	a, err := php.ParseStr(text, php.Limits{Values: maxValues})
	if err != nil {
		return php.NewArray()
	}
	return a
}

// overlay puts values over others, key by key.
func overlay(under, over *php.Array) *php.Array {
	for key, v := range over.All() {
		under.Set(key, v)
	}
	return under
}

// multipartParams reads the fields of a multipart form, files as their content.
func multipartParams(body io.Reader, boundary string) *php.Array {
	if boundary == "" {
		return php.NewArray()
	}
	var query strings.Builder
	reader := multipart.NewReader(body, boundary)
	for range maxValues {
		part, err := reader.NextPart()
		if err != nil {
			break
		}
		content, err := io.ReadAll(part)
		if err != nil {
			break
		}
		if name := part.FormName(); name != "" {
			query.WriteString(escape(name) + "=" + escape(string(content)) + "&")
		}
	}
	return ParseForm(query.String())
}

// escape protects what bracket notation gives a meaning to outside brackets.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D", "+", "%2B", "#", "%23").Replace(s)
}

// Wait sleeps, unless the context ends before.
func Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
