package rest

import (
	"net/http"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// WriteXML sends an answer as XML, which a method with the ending .xml gives:
// elements named like the keys, and item for those of a list.
func WriteXML(w http.ResponseWriter, status int, body any) {
	var b strings.Builder
	xmlValue(&b, value.Object("response", body))
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	AllowAll(w.Header())
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // the client may be gone
}

// xmlText protects text as the portal does.
var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

func xmlValue(b *strings.Builder, v any) {
	a, ok := v.(*php.Array)
	if !ok {
		b.WriteString(xmlText.Replace(value.Text(v)))
		return
	}
	for key, inner := range a.All() {
		if value.OnlyDigits(key) {
			key = "item"
		}
		b.WriteString("<" + key + ">")
		xmlValue(b, inner)
		b.WriteString("</" + key + ">")
	}
}
