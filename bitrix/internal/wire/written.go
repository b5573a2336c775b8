package wire

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed writes.txt
var writeTable string

// writeForms are the documented forms of answers by method, in lower case.
var writeForms = readWrites(writeTable)

func readWrites(table string) map[string]string {
	forms := map[string]string{}
	for entry := range strings.Lines(table) {
		if f := strings.Fields(entry); len(f) == 3 && f[0] != "#" {
			forms[strings.ToLower(f[1])] = f[0]
		}
	}
	return forms
}

// WriteForm returns the documented form of the answer to a method that writes, see
// writes.txt. It is "" for a method that the table does not have.
func WriteForm(method string) string { return writeForms[strings.ToLower(method)] }

// Written checks that the result of a writing method has its documented form. The
// error says what is there instead. The result of a method without a form says
// nothing.
func Written(method string, result json.RawMessage) error {
	form := WriteForm(method)
	result = bytes.TrimSpace(result)
	if form == "" || written(form, result) {
		return nil
	}
	return fmt.Errorf("the result is %.40s, want %s", cmp.Or(string(result), "absent"), describeForm(form))
}

func written(form string, result json.RawMessage) bool {
	switch form {
	case "true":
		return string(result) == "true"
	case "id":
		_, err := ID(result)
		return err == nil
	case "[]":
		return isEmpty(result)
	case "text":
		return len(result) > 2 && result[0] == '"'
	case "some":
		return !isNothing(result)
	}
	members, err := Object(result)
	if err != nil {
		return false
	}
	name, wantList := strings.CutSuffix(form, "[]")
	name, wantID := strings.CutSuffix(name, ".id")
	switch {
	case wantList:
		_, err = List(members[name])
	case wantID && name != "":
		var inner map[string]json.RawMessage
		if inner, err = Object(members[name]); err == nil {
			_, err = ID(inner["id"])
		}
	case wantID:
		_, err = ID(members["id"])
	default:
		return Count(members[name]) >= 0
	}
	return err == nil
}

func describeForm(form string) string {
	switch form {
	case "some":
		return "a value"
	case "id":
		return "an id"
	case "text", "true", "[]":
		return form
	}
	return "an object with " + strings.TrimPrefix(form, ".")
}

// isEmpty reports whether a result is an empty list or object, which PHP writes
// alike.
func isEmpty(result json.RawMessage) bool {
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case len(result) > 0 && result[0] == '[':
		return json.Unmarshal(result, &list) == nil && len(list) == 0
	case IsObject(result):
		return json.Unmarshal(result, &object) == nil && len(object) == 0
	}
	return false
}

func isNothing(result json.RawMessage) bool {
	switch Text(result) {
	case "0", "N", "n":
		return true
	case "":
		return !IsObject(result) && !bytes.HasPrefix(result, []byte("[")) || isEmpty(result)
	}
	return false
}

// WriteMethods returns the methods of the table, in lower case and in order.
func WriteMethods() []string { return slices.Sorted(maps.Keys(writeForms)) }
