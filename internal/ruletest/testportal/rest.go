package testportal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// inMemory sends requests to a handler without a socket.
type inMemory struct{ handler http.Handler }

// RoundTrip answers a request.
func (t inMemory) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler: // the handler closes the connection
			resp, err = nil, io.ErrUnexpectedEOF
		default:
			panic(v)
		}
	}()
	w := &response{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// response collects the answer of a handler.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(status int)      { w.status = status }
func (w *response) Write(p []byte) (int, error) { return w.body.Write(p) }

// Call calls a REST method as a person or another program would.
func (w *Portal) Call(method string, params map[string]any) (any, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, baseURL+w.path+method, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp := &response{header: http.Header{}, status: http.StatusOK}
	w.Emulator.ServeHTTP(resp, req)
	var answer struct {
		Result any    `json:"result"`
		Error  any    `json:"error"`
		Text   string `json:"error_description"`
		Next   int    `json:"next"`
	}
	d := json.NewDecoder(&resp.body)
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("%s: %v: %s", method, answer.Error, answer.Text)
	}
	w.next = answer.Next
	return answer.Result, nil
}

// callAll reads all pages of a list method.
func (w *Portal) callAll(method string, params map[string]any, wrapper string) ([]map[string]any, error) {
	var out []map[string]any
	for start := 0; ; start = w.next {
		params["start"] = start
		result, err := w.Call(method, params)
		if err != nil {
			return nil, err
		}
		if m, ok := result.(map[string]any); ok && wrapper != "" {
			result = m[wrapper]
		}
		rows, _ := result.([]any)
		for _, r := range rows {
			if m, ok := r.(map[string]any); ok {
				out = append(out, m)
			}
		}
		if w.next == 0 {
			return out, nil
		}
	}
}

func httpClient(h http.Handler) *http.Client { return &http.Client{Transport: inMemory{h}} }
