package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Map reads an object that PHP may have written as a list: an empty one is
// [], and one with the keys 0..n-1 is an array.
func Map(data json.RawMessage) (map[string]json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" || string(data) == "false" {
		return nil, nil
	}
	if data[0] == '{' {
		var m map[string]json.RawMessage
		err := json.Unmarshal(data, &m)
		return m, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	m := make(map[string]json.RawMessage, len(list))
	for i, v := range list {
		m[strconv.Itoa(i)] = v
	}
	return m, nil
}

// Text reads text that may be written as a number or a flag. What has no
// text, such as null or an array, is "".
func Text(data json.RawMessage) string {
	var s string
	switch {
	case len(data) == 0, data[0] == '{', data[0] == '[', string(data) == "null", string(data) == "false":
		return ""
	case json.Unmarshal(data, &s) == nil:
		return s
	}
	return string(data)
}

// What Count returns instead of a number of rows.
const (
	Absent     = -1 // the portal does not say
	Unreadable = -2 // it says what is no number
)

// Count reads a number of rows, which may be written as text.
func Count(data json.RawMessage) int {
	text := Text(data)
	if text == "" && !IsObject(data) && !bytes.HasPrefix(data, []byte("[")) {
		return Absent
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return Unreadable
	}
	return n
}

// Flag reads what PHP writes for yes and no. Nothing, null and an empty text are no.
func Flag(data json.RawMessage) (bool, error) {
	switch string(bytes.Trim(data, `"`)) {
	case "Y", "y", "1", "true":
		return true, nil
	case "N", "n", "0", "false", "null", "":
		return false, nil
	}
	return false, fmt.Errorf("%.40s is neither yes nor no", data)
}

// ID reads the id of a record that exists: a whole number above 0, which may be
// written as text.
func ID(data json.RawMessage) (int, error) {
	text := Text(data)
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("%.40s is no id", cmp.Or(string(data), "nothing"))
	}
	return n, nil
}

// Float reads a number that may be written as text.
func Float(data json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(Text(data), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}
