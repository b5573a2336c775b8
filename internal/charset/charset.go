// Package charset converts requests, answers and events of portals that are not in UTF-8.
package charset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Encoding is the character encoding of a portal's requests, answers and events. The
// zero value is UTF-8, which all cloud portals have.
type Encoding string

// Windows1251 is the encoding of old self-hosted portals with Cyrillic texts.
const Windows1251 Encoding = "windows-1251"

// encode converts a text from UTF-8. It fails for a character that the encoding does not
// have.
func (e Encoding) encode(text []byte) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		b, ok := e.byteOf(r)
		if !ok {
			return nil, fmt.Errorf("%q (%U), which %s does not have", r, r, e)
		}
		out = append(out, b)
	}
	return out, nil
}

// byteOf returns the byte of a character. The byte 98 means nothing in windows-1251.
func (e Encoding) byteOf(r rune) (byte, bool) {
	b, ok := charmap.Windows1251.EncodeRune(r)
	return b, ok && r != 0x98
}

// Decode converts a text to UTF-8. The zero value returns it unchanged.
func (e Encoding) Decode(text []byte) []byte {
	if e == "" {
		return text
	}
	out := make([]byte, 0, 2*len(text))
	for _, b := range text {
		r := charmap.Windows1251.DecodeByte(b)
		if b == 0x98 {
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Check returns an error with the name of the parameter whose text the encoding cannot
// hold. Nothing is replaced with a similar character: the portal would then hold another
// value than the rule, and the rule would write it again in each run.
func (e Encoding) Check(params map[string]any) error {
	if e == "" {
		return nil
	}
	data, err := json.Marshal(params)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return e.checkValue("", v)
}

func (e Encoding) checkValue(name string, v any) error {
	switch x := v.(type) {
	case string:
		if _, err := e.encode([]byte(x)); err != nil {
			return fmt.Errorf("%s has the character %w", name, err)
		}
	case []any:
		for i, one := range x {
			if err := e.checkValue(name+"["+strconv.Itoa(i)+"]", one); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, one := range x {
			inner := strings.TrimPrefix(name+"."+key, ".")
			if _, err := e.encode([]byte(key)); err != nil {
				return fmt.Errorf("the name %s has the character %w", inner, err)
			}
			if err := e.checkValue(inner, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// Request converts the body of a request, whose parameters Check has accepted. The
// commands of a batch are queries with escapes.
func (e Encoding) Request(method string, body []byte) ([]byte, error) {
	if e == "" || isASCII(body) && method != "batch" {
		return body, nil
	}
	if method == "batch" {
		var batch map[string]json.RawMessage
		var commands []string
		if err := json.Unmarshal(body, &batch); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(batch["cmd"], &commands); err != nil {
			return nil, err
		}
		for i, c := range commands {
			converted, err := convertEscapes([]byte(c), e.encode)
			if err != nil {
				return nil, err
			}
			commands[i] = string(converted)
		}
		var err error
		if batch["cmd"], err = json.Marshal(commands); err != nil {
			return nil, err
		}
		if body, err = json.Marshal(batch); err != nil {
			return nil, err
		}
	}
	return e.encode(body)
}

// ContentType returns the content type of a request.
func (e Encoding) ContentType() string {
	if e == "" {
		return "application/json"
	}
	return "application/json; charset=" + string(e)
}

// Answer converts an answer to UTF-8. An encoding that the answer names prevails. An
// answer whose bytes cannot be in its encoding is an error, because its texts would be
// stored wrong.
func (e Encoding) Answer(contentType string, data []byte) ([]byte, error) {
	named := charsetOf(contentType)
	if e == "" && named != string(Windows1251) || isASCII(data) {
		return data, nil
	}
	if named == "utf-8" {
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("the answer says that it is UTF-8, but it is not")
		}
		return data, nil
	}
	if utf8.Valid(data) {
		return nil, fmt.Errorf("the answer is UTF-8, but not the encoding of the portal, %s", Windows1251)
	}
	return Windows1251.Decode(data), nil
}

// Form converts the form of an event to UTF-8. A form that says that it is UTF-8 is
// returned unchanged, and so is one whose bytes are.
func (e Encoding) Form(contentType string, form []byte) []byte {
	if e == "" || charsetOf(contentType) == "utf-8" {
		return form
	}
	valid := true
	out, _ := convertEscapes(form, func(text []byte) ([]byte, error) { // decoding never fails
		valid = valid && utf8.Valid(text)
		return e.Decode(text), nil
	})
	if valid {
		return form
	}
	return out
}

// charsetOf returns the charset of a content type in lower case, "" if it names none.
func charsetOf(contentType string) string {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return strings.ToLower(params["charset"])
}

func isASCII(data []byte) bool {
	return !slices.ContainsFunc(data, func(b byte) bool { return b >= utf8.RuneSelf })
}

// convertEscapes converts the texts of a query that are not ASCII. They are sequences of
// escaped bytes, or of bytes that should have been escaped.
func convertEscapes(query []byte, convert func([]byte) ([]byte, error)) ([]byte, error) {
	var out, text []byte
	start := 0 // of the sequence that text is the meaning of
	flush := func(end int) error {
		if isASCII(text) {
			out = append(out, query[start:end]...)
		} else {
			converted, err := convert(text)
			if err != nil {
				return err
			}
			for _, b := range converted {
				out = fmt.Appendf(out, "%%%02X", b)
			}
		}
		text = text[:0]
		return nil
	}
	for i := 0; i < len(query); {
		b, width := query[i], 1
		escaped := false
		if b == '%' && i+2 < len(query) {
			if n, err := strconv.ParseUint(string(query[i+1:i+3]), 16, 8); err == nil {
				b, width, escaped = byte(n), 3, true
			}
		}
		if !escaped && b < utf8.RuneSelf {
			if err := flush(i); err != nil {
				return nil, err
			}
			out = append(out, b)
			i++
			start = i
			continue
		}
		text = append(text, b)
		i += width
	}
	err := flush(len(query))
	return out, err
}
