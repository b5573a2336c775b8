package rest

import (
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

const (
	BatchMethod = "batch"
	MaxBatch    = 50
)

// Batch is what a batch has come to so far: what its answer will hold, and
// what references of later commands can name.
type Batch struct {
	Result, Errors, Total, Next, Time *php.Array
}

// NewBatch returns the state of a batch before its first command.
func NewBatch() *Batch {
	return &Batch{php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray(), php.NewArray()}
}

// Commands are those of a batch by their keys. It omits values that are no text.
func (r *Request) Commands() iter.Seq2[string, string] {
	given, _ := value.UpperKeys(r.Params).Get("CMD")
	cmd, _ := value.Array(given)
	return func(yield func(string, string) bool) {
		for key, v := range cmd.All() {
			if command, ok := v.(string); ok && !yield(key, command) {
				return
			}
		}
	}
}

// Methods are those of all commands of a request, and batch itself, in lower
// case.
func (r *Request) Methods() []string {
	names := []string{strings.ToLower(r.Path.Method)}
	if names[0] == BatchMethod {
		for _, command := range r.Commands() {
			name, _ := SplitCommand(command)
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// SplitCommand takes a command of a batch apart: method?query.
func SplitCommand(command string) (name, query string) {
	name, query, _ = strings.Cut(command, "?")
	query, _, _ = strings.Cut(query, "#")
	return strings.TrimSuffix(strings.Trim(name, "/ "), ".json"), query
}

// IsAlone names the methods that a batch cannot contain.
func IsAlone(name string) bool {
	return slices.Contains([]string{BatchMethod, "upload", "download"}, strings.ToLower(name))
}

// Add keeps a command's answer under its key. A command that failed is only
// among the errors.
func (s *Batch) Add(key string, a *Answer) (failed bool) {
	if a.Err != nil {
		text := a.Err.Text
		if a.Err.Code == "insufficient_scope" {
			text = "" // as the documentation shows it inside a batch
		}
		s.Errors.Set(key, value.Object("error", a.Err.Code, "error_description", text))
		return true
	}
	if !a.Absent {
		s.Result.Set(key, a.Result)
	}
	if a.HasTotal {
		s.Total.Set(key, value.FromInt(int64(a.Total)))
	}
	if a.Next > 0 {
		s.Next.Set(key, value.FromInt(int64(a.Next)))
	}
	s.Time.Set(key, a.Time)
	return false
}

// reference finds a reference to an earlier command's answer. It runs on to the
// next space: two references without a space between them are one wrong path.
var (
	reference = regexp.MustCompile(`(?i)\$(result|next|total|time|error)(\S*)`)
	pathStep  = regexp.MustCompile(`\[([^\]]+)\]`)
)

// Resolve replaces references in all values and keys. The query is taken apart
// before, so that an inserted value cannot add parameters.
func (s *Batch) Resolve(params *php.Array) *php.Array {
	out := php.NewArray()
	for key, v := range params.All() {
		key = value.Text(s.value(key))
		if inner, ok := value.Array(v); ok {
			out.Set(key, s.Resolve(inner))
			continue
		}
		out.Set(key, s.value(v))
	}
	return out
}

// value replaces the references in one value. A reference that is the whole
// value keeps its type; into other text only scalars are put.
func (s *Batch) value(v any) any {
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
func (s *Batch) follow(member string, steps [][]string) any {
	var at any
	switch strings.ToLower(member) {
	case "result":
		at = s.Result
	case "next":
		at = s.Next
	case "total":
		at = s.Total
	case "time":
		at = s.Time
	default:
		at = s.Errors
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
