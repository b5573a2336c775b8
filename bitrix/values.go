package bitrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// ID is an id that a portal writes as a number here and as text there. No
// link (null, "", false) is 0.
type ID int64

// UnmarshalJSON takes 5, "5", null, "" and false.
func (i *ID) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	switch text {
	case "", "null", "false":
		*i = 0
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no id", text)
	}
	*i = ID(n)
	return nil
}

// YesNo is a flag that a portal writes as "Y" or "N", in places as 1 or true.
type YesNo bool

// UnmarshalJSON takes "Y", "1", 1 and true for yes, everything else for no.
func (y *YesNo) UnmarshalJSON(data []byte) error {
	switch string(bytes.Trim(data, `"`)) {
	case "Y", "y", "1", "true":
		*y = true
	default:
		*y = false
	}
	return nil
}

// MarshalJSON writes "Y" or "N".
func (y YesNo) MarshalJSON() ([]byte, error) {
	if y {
		return []byte(`"Y"`), nil
	}
	return []byte(`"N"`), nil
}

// lenientMap reads an object that PHP may have written as a list: an empty one is
// [], and one with the keys 0..n-1 is an array.
func lenientMap(data json.RawMessage) (map[string]json.RawMessage, error) {
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

// lenientText reads text that may be written as a number or a flag. What has no
// text, such as null or an array, is "".
func lenientText(data json.RawMessage) string {
	var s string
	switch {
	case len(data) == 0, data[0] == '{', data[0] == '[', string(data) == "null", string(data) == "false":
		return ""
	case json.Unmarshal(data, &s) == nil:
		return s
	}
	return string(data)
}

// Numbers of a listing that are none: a portal that does not say how many rows
// there are, and one that says it in a way that cannot be understood.
const (
	absent     = -1
	unreadable = -2
)

// readCount reads a number of rows, which may be written as text.
func readCount(data json.RawMessage) int {
	text := lenientText(data)
	if text == "" && !isObject(data) && !bytes.HasPrefix(data, []byte("[")) {
		return absent
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return unreadable
	}
	return n
}

// lenientInt reads a number that may be written as text, -1 for none.
func lenientInt(data json.RawMessage) int {
	n, err := strconv.Atoi(lenientText(data))
	if err != nil {
		return -1
	}
	return n
}

// lenientFloat reads a number that may be written as text.
func lenientFloat(data json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(lenientText(data), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}
