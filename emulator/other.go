package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// otherPath is where the emulator plays other systems: a shop, a warehouse, a messenger.
const otherPath = "/_other/"

// Reply is what another system that the emulator plays answers.
type Reply struct {
	// Method and Path choose the requests. An empty Method is any. Path is the start of the
	// path below /_other, such as /stock/reservations; an empty one is any.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Status is 200 when it is 0.
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// JSON or Text is the body. Without both it is {}.
	JSON json.RawMessage `json:"json,omitempty"`
	Text string          `json:"text,omitempty"`
	// Delay is the time until the answer, such as "2s".
	Delay string `json:"delay,omitempty"`
	// Count is how many requests get this answer; 0 is all.
	Count int `json:"count,omitempty"`
}

// OtherRequest is a request to another system that the emulator plays.
type OtherRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // below /_other
	Query   string            `json:"query,omitempty"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body,omitempty"`
	Status  int               `json:"status"` // of the answer
}

// maxOther bounds the requests that are kept.
const maxOther = 1000

// otherSystems plays the systems besides the portal.
type otherSystems struct {
	mu       sync.Mutex
	replies  []Reply
	requests []OtherRequest
}

// SetReplies sets what the other systems answer, instead of the replies before. The first
// reply that fits a request and is not used up answers it. A request without a reply gets
// 200 and {}. The address of the other systems is that of the portal with /_other.
func (p *Portal) SetReplies(replies ...Reply) error {
	for i, r := range replies {
		switch delay, err := time.ParseDuration(r.Delay); {
		case r.Delay != "" && (err != nil || delay < 0):
			return fmt.Errorf("reply %d: delay %q: want a time such as 2s", i+1, r.Delay)
		case r.Status != 0 && (r.Status < 200 || r.Status > 599):
			return fmt.Errorf("reply %d: status %d: want 200 to 599", i+1, r.Status)
		case r.Path != "" && !strings.HasPrefix(r.Path, "/"):
			return fmt.Errorf("reply %d: path %q: want /%s", i+1, r.Path, r.Path)
		case r.Count < 0:
			return fmt.Errorf("reply %d: count %d: want 0 or more", i+1, r.Count)
		case len(r.JSON) > 0 && r.Text != "":
			return fmt.Errorf("reply %d has json and text", i+1)
		}
	}
	p.other.mu.Lock()
	defer p.other.mu.Unlock()
	p.other.replies = slices.Clone(replies)
	return nil
}

// OtherRequests returns the requests to the other systems, the oldest first.
func (p *Portal) OtherRequests() []OtherRequest {
	p.other.mu.Lock()
	defer p.other.mu.Unlock()
	return slices.Clone(p.other.requests)
}

func (o *otherSystems) serve(w http.ResponseWriter, r *http.Request, path string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		complain(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	reply := o.take(r, "/"+path, string(body))
	if delay, err := time.ParseDuration(reply.Delay); err == nil {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	contentType, text := "application/json", string(reply.JSON)
	switch {
	case reply.Text != "":
		contentType, text = "text/plain; charset=utf-8", reply.Text
	case text == "":
		text = "{}"
	}
	w.Header().Set("Content-Type", contentType)
	for name, v := range reply.Headers {
		w.Header().Set(name, v)
	}
	w.WriteHeader(reply.Status)
	_, _ = io.WriteString(w, text)
}

// take keeps a request and returns its reply.
func (o *otherSystems) take(r *http.Request, path, body string) Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	reply := Reply{}
	for i := range o.replies {
		x := &o.replies[i]
		if x.Method != "" && !strings.EqualFold(x.Method, r.Method) || !strings.HasPrefix(path, x.Path) {
			continue
		}
		if reply = *x; x.Count == 1 {
			o.replies = slices.Delete(o.replies, i, i+1)
		} else if x.Count > 1 {
			x.Count--
		}
		break
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	headers := map[string]string{}
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	if len(o.requests) == maxOther {
		o.requests = o.requests[1:]
	}
	o.requests = append(o.requests, OtherRequest{Method: r.Method, Path: path, Query: r.URL.RawQuery, Headers: headers, Body: body, Status: reply.Status})
	return reply
}

// AddRobot puts a robot on a stage of a type: each item that enters the stage calls url with
// the outgoing webhook of robots.
func (p *Portal) AddRobot(url string, entityTypeID int, stage string) error {
	if url == "" || stage == "" {
		return errors.New("a robot needs a url and a stage")
	}
	return p.events.Robots.Add(url, entityTypeID, stage)
}

// CallRobot makes a robot or a business process of an item call url once.
func (p *Portal) CallRobot(url string, entityTypeID int, id int64) error {
	if url == "" {
		return errors.New("a robot needs a url")
	}
	return p.events.Robots.Call(url, entityTypeID, id)
}
