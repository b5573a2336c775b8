package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// List reads a list, or an object with numeric keys, which is how PHP
// writes a list with gaps. No element is null.
func List(data json.RawMessage) ([]json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return nil, errors.New("the answer has no list")
	case data[0] == '[':
		rows := []json.RawMessage{}
		err := json.Unmarshal(data, &rows)
		return rows, err
	case data[0] == '{':
		return listWithGaps(data)
	}
	return nil, fmt.Errorf("want a list, got %.40s", data)
}

func listWithGaps(data json.RawMessage) ([]json.RawMessage, error) {
	if !json.Valid(data) {
		return nil, errors.New("want a list, got what is no JSON")
	}
	var rows []json.RawMessage
	seen := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // a key is text
		if n, err := strconv.Atoi(key); err != nil || n < 0 || strconv.Itoa(n) != key || seen[key] {
			return nil, fmt.Errorf("want a list, got an object with the key %.40q", key)
		}
		seen[key] = true
		var row json.RawMessage
		if err := d.Decode(&row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("want a list, got an empty object")
	}
	return rows, nil
}

// Object reads an object that must be in the answer.
func Object(data json.RawMessage) (map[string]json.RawMessage, error) {
	if !IsObject(data) {
		return nil, fmt.Errorf("want an object, got %.40s", cmp.Or(string(data), "nothing"))
	}
	var m map[string]json.RawMessage
	err := json.Unmarshal(data, &m)
	return m, err
}

// IsObject reports whether a JSON value is an object.
func IsObject(data json.RawMessage) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '{'
}
