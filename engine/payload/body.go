package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/charset"
	"github.com/b24rules/b24rules/internal/php"
)

// formLimits bound the form of another system.
var formLimits = php.Limits{Values: 5000, Depth: 16, KeyBytes: 512}

// byteOrderMark is what some systems write before JSON.
const byteOrderMark = "\uFEFF"

func unreadable(format string, args ...any) []Problem {
	return []Problem{{Message: fmt.Sprintf(format, args...)}}
}

// ReadBody reads what another system has sent: JSON or a form. contentType and encoding are the
// headers Content-Type and Content-Encoding. The value is only valid without problems.
func ReadBody(contentType, encoding string, body []byte) (any, []Problem) {
	if encoding != "" && encoding != "identity" {
		return nil, unreadable("the body is compressed (Content-Encoding: %.60q), send it uncompressed", encoding)
	}
	media, params, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		return nil, unreadable("the content type cannot be read")
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	case "windows-1251", "cp1251", "cp-1251":
		if media == typeForm {
			body = charset.Windows1251.Form("", body)
		} else {
			body = charset.Windows1251.Decode(body)
		}
	default:
		return nil, unreadable("the charset is %.60q, want UTF-8", params["charset"])
	}
	if media == typeMultipart {
		return multipartForm(body, params["boundary"])
	}
	if !utf8.Valid(body) {
		return nil, unreadable("the body is not UTF-8")
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(body), byteOrderMark))
	// Many programs send JSON with the content type of a form, which is the default of curl
	// and PHP. No field of a form has such a name.
	isJSON := strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
	switch {
	case media == typeForm && !isJSON:
		return formOf(text)
	case media == typeForm, media == "", media == "application/json", media == "text/json", media == "text/plain", strings.HasSuffix(media, "+json"):
		return decoded([]byte(text))
	}
	return nil, unreadable("the content type is %.60q, want JSON or a form", media)
}

// The media types of forms.
const (
	typeForm      = "application/x-www-form-urlencoded"
	typeMultipart = "multipart/form-data"
)

// formOf reads a form as PHP does: client[name] is a field of a record.
func formOf(text string) (any, []Problem) {
	form, err := php.ParseStr(text, formLimits)
	if err != nil {
		return nil, unreadable("the form cannot be read: %v", err)
	}
	if !validTexts(form) { // JSON would replace what is not valid
		return nil, unreadable("the form is not UTF-8")
	}
	data, err := json.Marshal(form)
	if err != nil {
		return nil, unreadable("the form cannot be read")
	}
	return decoded(data)
}

// validTexts reports whether all texts of a form are UTF-8.
func validTexts(v any) bool {
	switch x := v.(type) {
	case string:
		return utf8.ValidString(x)
	case *php.Array:
		for key, e := range x.All() {
			if !utf8.ValidString(key) || !validTexts(e) {
				return false
			}
		}
	}
	return true
}

// multipartForm reads a form without files, as PHP posts an array.
func multipartForm(body []byte, boundary string) (any, []Problem) {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	var query strings.Builder
	for range formLimits.Values + 1 {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return formOf(query.String())
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(part)
		}
		switch {
		case err != nil:
			return nil, unreadable("the form cannot be read: its parts do not end as the content type says")
		case part.FileName() != "":
			return nil, unreadable("the form has a file, and files are not taken")
		}
		query.WriteString(url.QueryEscape(part.FormName()) + "=" + url.QueryEscape(string(text)) + "&")
	}
	return nil, unreadable("the form has more than %d values", formLimits.Values)
}

func decoded(text []byte) (any, []Problem) {
	if deep(text) {
		return nil, unreadable("the values are nested too deep")
	}
	v, err := formula.FromJSON(text)
	if err != nil {
		return nil, unreadable("%v", err)
	}
	return v, nil
}

// maxDepth is how deep the values of a request may be nested.
const maxDepth = 32

// deep reports whether JSON is nested too deep. It looks at tokens only, so that hostile
// nesting costs no stack.
func deep(text []byte) bool {
	depth, inText := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
