package dump

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/redact"
)

// Transport returns a transport that dumps the REST requests to a portal and their
// answers. The commands of a batch are dumped one by one. It does not dump requests for
// OAuth tokens, which have only secrets.
func (d *Dump) Transport(portal string, e bitrix.Encoding, next http.RoundTripper) http.RoundTripper {
	if d == nil {
		return next
	}
	return &transport{d, portal, e, next}
}

type transport struct {
	dump     *Dump
	portal   string
	encoding bitrix.Encoding
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") || req.GetBody == nil {
		return t.next.RoundTrip(req)
	}
	x := &exchange{dump: t.dump, portal: t.portal, encoding: t.encoding, method: strings.TrimSuffix(path.Base(req.URL.Path), ".json"), number: t.dump.requests.Add(1), sent: time.Now()}
	if body, err := req.GetBody(); err == nil {
		x.request, _ = io.ReadAll(body) // of a buffer
		_ = body.Close()
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		x.failure = err
		x.log(req.Context())
		return nil, err
	}
	x.status, x.contentType = resp.StatusCode, resp.Header.Get("Content-Type")
	resp.Body = &answerBody{ReadCloser: resp.Body, exchange: x, ctx: req.Context()}
	return resp, nil
}

// answerBody copies an answer while it is read and dumps it when it is closed.
type answerBody struct {
	io.ReadCloser
	ctx      context.Context
	exchange *exchange
	closed   bool
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.exchange.answer = append(b.exchange.answer, p[:n]...)
	if err != nil && err != io.EOF {
		b.exchange.failure = err
	}
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.closed {
		b.closed = true
		b.exchange.log(b.ctx)
	}
	return err
}

// exchange is a request with its answer.
type exchange struct {
	dump            *Dump
	portal, method  string
	encoding        bitrix.Encoding
	contentType     string // of the answer
	number          int64
	sent            time.Time
	request, answer []byte
	status          int
	failure         error
}

// batchRequest is the content of a request to the method batch.
type batchRequest struct {
	Halt     int      `json:"halt"`
	Commands []string `json:"cmd"`
}

// log dumps the exchange: one record, and for a batch one more for each command.
func (x *exchange) log(ctx context.Context) {
	x.request = x.encoding.Decode(x.request)
	if text, err := x.encoding.Answer(x.contentType, x.answer); err == nil {
		x.answer = text
	}
	attrs := []slog.Attr{
		slog.String("portal", x.portal), slog.Int64("request", x.number), slog.String("method", x.method),
		slog.Int("status", x.status), slog.Duration("took", time.Since(x.sent)),
	}
	if x.failure != nil {
		attrs = append(attrs, slog.String("failure", x.dump.hide.Text(x.failure.Error())))
	}
	var batch batchRequest
	isBatch := x.method == "batch" && json.Unmarshal(x.request, &batch) == nil && len(batch.Commands) > 0
	answers, split := batchAnswers{}, false
	if isBatch {
		attrs = append(attrs, slog.Int("halt", batch.Halt), slog.Int("commands", len(batch.Commands)))
		answers, split = splitAnswer(x.answer)
	} else {
		attrs = append(attrs, x.params(x.request))
	}
	if !split && len(x.answer) > 0 {
		attrs = append(attrs, x.dump.body("answer", x.answer))
	}
	x.dump.log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
	for i, c := range batch.Commands {
		x.command(ctx, i, c, answers)
	}
}

// params returns the parameters of a method without the token of an application.
func (x *exchange) params(body []byte) slog.Attr {
	var params map[string]json.RawMessage
	if err := json.Unmarshal(body, &params); err != nil {
		return x.dump.body("params", body)
	}
	if _, ok := params["auth"]; ok {
		params["auth"] = json.RawMessage(strconv.Quote(redact.Hidden))
	}
	data, err := json.Marshal(params)
	if err != nil {
		return x.dump.body("params", body)
	}
	return x.dump.json("params", data)
}

// command dumps a command of a batch.
func (x *exchange) command(ctx context.Context, i int, command string, answers batchAnswers) {
	method, query, _ := strings.Cut(command, "?")
	attrs := []slog.Attr{
		slog.String("portal", x.portal), slog.Int64("request", x.number), slog.Int("command", i), slog.String("method", method),
		x.dump.form("params", string(x.encoding.Form("", []byte(query)))),
	}
	for _, part := range answers.of(i) {
		attrs = append(attrs, x.dump.json(part.name, part.value))
	}
	x.dump.log.LogAttrs(ctx, slog.LevelInfo, "command", attrs...)
}

// batchAnswers are the parts of an answer to a batch: results, errors and so on, each by
// command.
type batchAnswers []batchPart

type batchPart struct {
	name string
	list []json.RawMessage          // with halt, or if each command has a part
	byID map[string]json.RawMessage // otherwise
}

type namedJSON struct {
	name  string
	value json.RawMessage
}

// of returns the parts of the answer to a command.
func (b batchAnswers) of(i int) []namedJSON {
	var out []namedJSON
	for _, p := range b {
		value, ok := p.byID[strconv.Itoa(i)]
		if i < len(p.list) {
			value, ok = p.list[i], true
		}
		if ok {
			out = append(out, namedJSON{p.name, value})
		}
	}
	return out
}

// splitAnswer divides the answer to a batch. ok is false for other answers.
func splitAnswer(data []byte) (parts batchAnswers, ok bool) {
	var answer struct {
		Result map[string]json.RawMessage `json:"result"`
	}
	if json.Unmarshal(bytes.TrimPrefix(data, []byte("\uFEFF")), &answer) != nil || answer.Result["result"] == nil {
		return nil, false
	}
	for _, p := range [...]struct{ key, name string }{
		{"result", "result"}, {"result_error", "error"}, {"result_total", "total"}, {"result_next", "next"}, {"result_time", "timing"},
	} {
		part := batchPart{name: p.name}
		if json.Unmarshal(answer.Result[p.key], &part.list) != nil {
			part.list = nil
			_ = json.Unmarshal(answer.Result[p.key], &part.byID) // missing or unknown: no part
		}
		parts = append(parts, part)
	}
	return parts, true
}
