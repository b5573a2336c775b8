package faults

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/internal/php"
)

// RequestCeiling is how long a request may take before the cloud cuts it off.
// https://apidocs.bitrix24.com/limits.html
const RequestCeiling = 60 * time.Second

// BreakOff ends a request as a fault says: without its answer, or with a
// wrong one. status and body are those of the answer that is lost.
func BreakOff(w http.ResponseWriter, r *http.Request, f *Fault, status int, body any) {
	switch f.Kind {
	case Timeout:
		delay := f.Delay
		if delay == 0 {
			delay = RequestCeiling
		}
		_ = rest.Wait(r.Context(), delay) // the end of the context is an end too
		hangUp(w, false)
	case Reset:
		hangUp(w, true)
	case HTML:
		page := f.Status
		if page == 0 {
			page = http.StatusBadGateway
		}
		WritePage(w, page)
	case Moved:
		to := strings.TrimSuffix(f.Location, "/") + (&url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}).String()
		w.Header().Set("Location", to)
		WritePage(w, http.StatusFound)
	case Truncate:
		raw, _ := php.EncodeJSON(body) // what cannot be written ends even earlier
		rest.WriteRaw(w, status, raw[:len(raw)/2])
	case BOM:
		raw, _ := php.EncodeJSON(body)
		rest.WriteRaw(w, status, append([]byte("\ufeff"), raw...))
	case ContentType:
		raw, _ := php.EncodeJSON(body)
		rest.WriteAs(w, status, "text/html; charset=UTF-8", raw)
	}
}

// WritePage answers what the server before a portal does: no JSON.
func WritePage(w http.ResponseWriter, status int) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title, title)
}

// hangUp closes a connection without an answer; reset tells the client at once
// that what it sent may be lost. A writer without a connection to take over,
// such as a test's recorder or HTTP/2, is left as net/http requires: by a panic
// with http.ErrAbortHandler.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	inner := conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS says goodbye otherwise
		inner = secure.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = inner.Close()
}
