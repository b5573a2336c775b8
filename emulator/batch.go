package emulator

import (
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

const (
	batchMethod = "batch"
	maxBatch    = 50
)

// batchState is what a batch has come to so far: what its answer will hold, and
// what references of later commands can name.
type batchState struct {
	result, errors, total, next, time *php.Array
}

// commands are those of a batch by their keys. What is no text is left out.
func (r *request) commands() iter.Seq2[string, string] {
	given, _ := value.UpperKeys(r.params).Get("CMD")
	cmd, _ := value.Array(given)
	return func(yield func(string, string) bool) {
		for key, v := range cmd.All() {
			if command, ok := v.(string); ok && !yield(key, command) {
				return
			}
		}
	}
}

// methods are those of all commands of a request, and batch itself, in lower
// case.
func (r *request) methods() []string {
	names := []string{strings.ToLower(r.path.method)}
	if names[0] == batchMethod {
		for _, command := range r.commands() {
			name, _ := splitCommand(command)
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// splitCommand takes a command of a batch apart: method?query.
func splitCommand(command string) (name, query string) {
	name, query, _ = strings.Cut(command, "?")
	query, _, _ = strings.Cut(query, "#")
	return strings.TrimSuffix(strings.Trim(name, "/ "), ".json"), query
}

// isAlone names the methods that cannot stand in a batch.
func isAlone(name string) bool {
	return slices.Contains([]string{batchMethod, "upload", "download"}, strings.ToLower(name))
}

// add keeps a command's answer under its key. A command that failed is only
// among the errors.
func (s *batchState) add(key string, a *answer) (failed bool) {
	if a.err != nil {
		text := a.err.text
		if a.err.code == "insufficient_scope" {
			text = "" // as the documentation shows it inside a batch
		}
		s.errors.Set(key, value.Object("error", a.err.code, "error_description", text))
		return true
	}
	if !a.absent {
		s.result.Set(key, a.result)
	}
	if a.hasTotal {
		s.total.Set(key, value.FromInt(int64(a.total)))
	}
	if a.next > 0 {
		s.next.Set(key, value.FromInt(int64(a.next)))
	}
	s.time.Set(key, a.time)
	return false
}

// reference finds a reference to an earlier command's answer. It runs on to the
// next space: two references without a space between them are one wrong path.
var (
	reference = regexp.MustCompile(`(?i)\$(result|next|total|time|error)(\S*)`)
	pathStep  = regexp.MustCompile(`\[([^\]]+)\]`)
)

// resolve replaces references in all values and keys. The query is taken apart
// before, so that what is put in cannot bring parameters of its own.
func (s *batchState) resolve(params *php.Array) *php.Array {
	out := php.NewArray()
	for key, v := range params.All() {
		key = value.Text(s.value(key))
		if inner, ok := value.Array(v); ok {
			out.Set(key, s.resolve(inner))
			continue
		}
		out.Set(key, s.value(v))
	}
	return out
}

// value replaces the references in one value. A reference that is the whole
// value keeps its type; into other text only scalars are put.
func (s *batchState) value(v any) any {
	text, ok := v.(string)
	if !ok || !strings.Contains(text, "$") {
		return v
	}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		steps := pathStep.FindAllStringSubmatch(m[2], -1)
		if len(steps) == 0 {
			continue
		}
		found := s.follow(m[1], steps)
		if m[0] == text {
			return found
		}
		if _, isArray := value.Array(found); !isArray {
			text = strings.ReplaceAll(text, m[0], value.Text(found))
		}
	}
	return text
}

// follow goes along a path as far as it leads: where a step is missing, the
// container reached so far is the value.
func (s *batchState) follow(member string, steps [][]string) any {
	var at any
	switch strings.ToLower(member) {
	case "result":
		at = s.result
	case "next":
		at = s.next
	case "total":
		at = s.total
	case "time":
		at = s.time
	default:
		at = s.errors
	}
	for _, step := range steps {
		a, ok := value.Array(at)
		if !ok {
			break
		}
		v, ok := a.Get(step[1])
		if !ok || v == nil {
			break
		}
		at = v
	}
	return at
}
