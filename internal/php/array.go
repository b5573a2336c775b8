// Package php reads and writes values as PHP does, because Bitrix24 is written in PHP.
//
// It has ordered arrays, which are lists and maps in one, the bracket notation of forms
// and queries, and the JSON that json_encode writes.
package php

import (
	"iter"
	"slices"
	"strconv"
)

// Array is PHP's array: an ordered map whose keys are text. A key that is a
// canonical decimal integer, such as "0" or "-5", counts as an integer, as in
// PHP. The zero value is an empty array. An Array is not safe for concurrent
// use while it changes.
//
// Values are nil, bool, string, json.Number and *Array.
type Array struct {
	keys   []string
	values map[string]any
	next   int64 // the key that Append uses
	ints   bool  // there has been an integer key
}

// NewArray returns an empty array.
func NewArray() *Array { return &Array{} }

// List returns an array of values with the keys 0, 1, 2 and so on.
func List(values ...any) *Array {
	a := NewArray()
	for _, v := range values {
		a.Append(v)
	}
	return a
}

// Set gives a key a value. A new key goes to the end; an old one keeps its
// place.
func (a *Array) Set(key string, value any) {
	if a.values == nil {
		a.values = map[string]any{}
	}
	if _, ok := a.values[key]; !ok {
		a.keys = append(a.keys, key)
		if n, ok := integerKey(key); ok && (!a.ints || n >= a.next) {
			a.next, a.ints = max(n, n+1), true // n+1 overflows above the highest integer
		}
	}
	a.values[key] = value
}

// Append adds a value under the next integer key, one above the highest so far,
// or 0. Where the highest possible integer is a key already there is no next,
// and nothing is added, as in PHP's parse_str.
func (a *Array) Append(value any) {
	key := strconv.FormatInt(a.next, 10)
	if _, taken := a.values[key]; !taken {
		a.Set(key, value)
	}
}

// Get returns the value of a key.
func (a *Array) Get(key string) (value any, ok bool) {
	if a == nil {
		return nil, false
	}
	value, ok = a.values[key]
	return value, ok
}

// Delete takes a key out. As in PHP, Append does not use its number again.
func (a *Array) Delete(key string) {
	if _, ok := a.values[key]; !ok {
		return
	}
	delete(a.values, key)
	a.keys = slices.DeleteFunc(a.keys, func(k string) bool { return k == key })
}

// Len returns how many values there are. A nil array has none.
func (a *Array) Len() int {
	if a == nil {
		return 0
	}
	return len(a.keys)
}

// Keys returns the keys in order.
func (a *Array) Keys() []string {
	if a == nil {
		return nil
	}
	return slices.Clone(a.keys)
}

// All ranges over the keys and values in order.
func (a *Array) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if a == nil {
			return
		}
		for _, k := range a.keys {
			if !yield(k, a.values[k]) {
				return
			}
		}
	}
}

// IsList reports whether the keys are 0, 1, 2 … in this order, which is when
// json_encode writes a JSON array. An empty array is a list.
func (a *Array) IsList() bool {
	if a == nil {
		return true
	}
	for i, k := range a.keys {
		if k != strconv.Itoa(i) {
			return false
		}
	}
	return true
}

// integerKey reports whether PHP reads a key as an integer: canonical decimal
// digits that fit 64 bits.
func integerKey(key string) (int64, bool) {
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != key {
		return 0, false
	}
	return n, true
}
