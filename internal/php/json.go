package php

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxJSONDepth is how deep JSON may nest, as in PHP's json_decode.
const maxJSONDepth = 512

// DecodeJSON reads JSON into nil, bool, string, json.Number and *Array. Objects
// keep the order of their keys; of a key that is listed twice the last value
// counts.
func DecodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxJSONDepth {
		return nil, fmt.Errorf("JSON nests deeper than %d: %w", maxJSONDepth, ErrLimit)
	}
	a := NewArray()
	for dec.More() {
		key := ""
		if delim == '{' {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			key, _ = k.(string)
		}
		v, err := decodeValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			a.Set(key, v)
		} else {
			a.Append(v)
		}
	}
	_, err = dec.Token()
	return a, err
}

// MarshalJSON writes an array as json_encode does: a list or an empty array as
// a JSON array, everything else as an object in its order, with "/" escaped.
func (a *Array) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := encode(&b, a); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// EncodeJSON writes any value of an Array as json_encode does.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func encode(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case *Array:
		return encodeArray(b, v)
	case string:
		encodeString(b, v)
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("a %T cannot be written as JSON: %w", v, err)
	}
	b.Write(raw)
	return nil
}

func encodeArray(b *bytes.Buffer, a *Array) error {
	list := a.IsList()
	open, end := byte('{'), byte('}')
	if list {
		open, end = '[', ']'
	}
	b.WriteByte(open)
	first := true
	for k, v := range a.All() {
		if !first {
			b.WriteByte(',')
		}
		first = false
		if !list {
			encodeString(b, k)
			b.WriteByte(':')
		}
		if err := encode(b, v); err != nil {
			return err
		}
	}
	b.WriteByte(end)
	return nil
}

// encodeString writes text with "/" escaped and everything beyond ASCII as it
// is. Bytes that are no UTF-8 become U+FFFD.
func encodeString(b *bytes.Buffer, s string) {
	var inner bytes.Buffer
	enc := json.NewEncoder(&inner)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // text can always be written
	b.WriteString(strings.ReplaceAll(strings.TrimSuffix(inner.String(), "\n"), "/", `\/`))
}

// FromGo turns Go values into what an Array holds: maps with text keys (in
// sorted order), slices, numbers, text, booleans, nil, and whatever marshals
// itself to JSON.
func FromGo(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, json.Number, *Array:
		return v, nil
	case map[string]any:
		a := NewArray()
		for _, k := range slices.Sorted(maps.Keys(v)) {
			inner, err := FromGo(v[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			a.Set(k, inner)
		}
		return a, nil
	case []any:
		return fromList(len(v), func(i int) any { return v[i] })
	case json.Marshaler:
		return fromJSON(v)
	}
	return fromReflect(v)
}

func fromList(n int, at func(int) any) (any, error) {
	a := NewArray()
	for i := range n {
		inner, err := FromGo(at(i))
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		a.Append(inner)
	}
	return a, nil
}

func fromReflect(v any) (any, error) {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return json.Number(strconv.FormatInt(r.Int(), 10)), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return json.Number(strconv.FormatUint(r.Uint(), 10)), nil
	case reflect.String:
		return r.String(), nil
	case reflect.Bool:
		return r.Bool(), nil
	case reflect.Slice, reflect.Array:
		return fromList(r.Len(), func(i int) any { return r.Index(i).Interface() })
	}
	return fromJSON(v)
}

// fromJSON takes the way over JSON, for structs and types that marshal
// themselves.
func fromJSON(v any) (any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("a %T cannot be sent: %w", v, err)
	}
	return DecodeJSON(raw)
}
