package emulator

import (
	"embed"
	"net/http"
	"path"
	"strings"
)

// pageFiles are the page at / with its script and its style.
//
//go:embed page
var pageFiles embed.FS

// servePage serves the page at / and its files under /_emulator/. It says whether
// there was one to serve.
func servePage(w http.ResponseWriter, r *http.Request) bool {
	name := strings.TrimPrefix(r.URL.Path, "/_emulator/")
	if r.URL.Path == "/" {
		name = "index.html"
	}
	kind := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript"}[path.Ext(name)]
	raw, err := pageFiles.ReadFile("page/" + name)
	if err != nil || kind == "" || r.Method != http.MethodGet {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", kind+"; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(raw) // the browser may be gone
	return true
}
