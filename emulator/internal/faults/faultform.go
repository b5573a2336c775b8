package faults

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"gopkg.in/yaml.v3"
)

// problem is something wrong with a fault.
type problem struct{ key, message, hint string }

func (p problem) String() string {
	if p.hint == "" {
		return "fault: " + p.message
	}
	return "fault: " + p.message + " (" + p.hint + ")"
}

// faultKinds are the kinds with the keys that each can have in addition to those
// that all have.
var faultKinds = map[Kind][]string{
	Delay:       {"delay", "after"},
	Refuse:      {"code", "status"},
	Timeout:     {"delay", "after"},
	Reset:       {"after"},
	HTML:        {"status", "after"},
	Truncate:    nil,
	Moved:       {"location"},
	ChangeShape: {"shape", "keep", "total"},
	Undone:      {"shape"},
	Unkept:      {"field"},
	BOM:         nil,
	ContentType: nil,
}

// problems checks a fault.
func (f *Fault) problems(methods []string) (found []problem) {
	add := func(key, hint, format string, args ...any) {
		found = append(found, problem{key, fmt.Sprintf(format, args...), hint})
	}
	allowed, ok := faultKinds[f.Kind]
	if !ok {
		add("kind", didYouMean(string(f.Kind), kindNames()), "unknown kind of fault %q", f.Kind)
		return found
	}
	for key, given := range map[string]bool{
		"after": f.After, "code": f.Code != "", "status": f.Status != 0, "delay": f.Delay != 0, "location": f.Location != "",
		"shape": f.Shape != "", "keep": f.Keep != 0, "total": f.Total != 0, "field": f.Field != "",
	} {
		if given && !slices.Contains(allowed, key) {
			add(key, "", "a fault of kind %s has no %s", f.Kind, key)
		}
	}
	if why, hint := f.wrongMethod(methods); why != "" {
		add("method", hint, "%s", why)
	}
	knownCode, _ := rest.IsRefusal(f.Code)
	switch {
	case f.Delay < 0:
		add("delay", "", "a delay is not negative, this is %s", f.Delay)
	case f.Kind == Delay && f.Delay == 0:
		add("kind", `delay: 2s`, "a fault of kind delay needs a delay")
	case f.Kind == Refuse && f.Code == "":
		add("kind", "code: QUERY_LIMIT_EXCEEDED", "a fault of kind refuse needs the code of an error")
	case f.Kind == Refuse && !knownCode && f.Status == 0:
		add("code", didYouMean(f.Code, rest.RefusalCodes()), "unknown code %q: give its status too", f.Code)
	case f.Kind == Moved && !isAddress(f.Location):
		add("location", "location: https://new.bitrix24.com", "a fault of kind moved needs the portal's new address, this is %q", f.Location)
	}
	f.shapeProblems(add)
	if f.Probability < 0 || f.Probability > 1 {
		add("probability", "", "a probability is between 0 and 1, this is %g", f.Probability)
	}
	if f.Skip < 0 || f.Count < 0 {
		add("count", "", "skip and count are not negative")
	}
	slices.SortFunc(found, func(a, b problem) int { return strings.Compare(a.key, b.key) })
	return found
}

// wrongMethod reports what is wrong with the pattern of methods.
func (f *Fault) wrongMethod(methods []string) (why, hint string) {
	pattern := strings.ToLower(f.Method)
	if pattern == "" || pattern == TokenMethod {
		return "", ""
	}
	for _, name := range methods {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return fmt.Sprintf("method %q is no pattern", f.Method), "crm.item.*"
		}
		if ok {
			return "", ""
		}
	}
	return fmt.Sprintf("no method is called %q", f.Method), didYouMean(f.Method, append(slices.Clone(methods), TokenMethod))
}

func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// shapeProblems checks the keys about the shape of an answer.
func (f *Fault) shapeProblems(add func(key, hint, format string, args ...any)) {
	allowed := shapes
	if f.Kind == Undone {
		allowed = undoneShapes
	}
	switch {
	case f.Kind == ChangeShape && f.Shape == "":
		add("kind", "shape: as_null", "a fault of kind shape needs a shape")
	case f.Shape != "" && !slices.Contains(allowed, f.Shape):
		add("shape", didYouMean(string(f.Shape), shapeNames(allowed)), "a fault of kind %s has no shape %q", f.Kind, f.Shape)
	case f.Keep < 0 || f.Total < 0:
		add("shape", "", "keep and total are not negative")
	case f.Keep != 0 && f.Shape != ShapeShort:
		add("keep", "", "only the shape short has keep")
	case f.Total != 0 && f.Shape != ShapeTotal:
		add("total", "", "only the shape wrong_total has total")
	}
}

// NodeSchema implements yamlfile.NodeSchema.
func (*Kind) NodeSchema() yamlfile.Schema { return yamlfile.EnumSchema(kindNames()...) }

// NodeSchema implements yamlfile.NodeSchema.
func (*Shape) NodeSchema() yamlfile.Schema { return yamlfile.EnumSchema(shapeNames(shapes)...) }

func shapeNames(list []Shape) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return names
}

func kindNames() []string {
	var names []string
	for kind := range faultKinds {
		names = append(names, string(kind))
	}
	slices.Sort(names)
	return names
}

// didYouMean is a hint: the name that was meant, or all when there are few.
func didYouMean(word string, names []string) string {
	if near := diag.Closest(word, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) <= 12 {
		return "want " + strings.Join(names, ", ")
	}
	return ""
}

// Parse reads faults from YAML, of which JSON is a part: a list of them,
// or one. The keys are the fields of Fault in lower case; delay is a duration
// such as 250ms. Findings name the place in what was read, called name.
func Parse(name string, data []byte, methods []string) ([]Fault, diag.List) {
	f, list := yamlfile.Parse(name, data)
	if list.HasErrors() {
		return nil, list
	}
	faults, wrong := Decode(f, f.Root, methods)
	list.Add(wrong...)
	list.Sort()
	return faults, list
}

// Decode reads faults from a node of a YAML file: a list of them, or one.
func Decode(f *yamlfile.File, root *yaml.Node, methods []string) ([]Fault, diag.List) {
	nodes := []*yaml.Node{root}
	if root := yamlfile.Resolve(root); root == nil {
		nodes = nil
	} else if root.Kind == yaml.SequenceNode {
		nodes = root.Content
	}
	var list diag.List
	var faults []Fault
	for _, n := range nodes {
		var fault Fault
		if wrong := yamlfile.Decode(f, n, &fault); len(wrong) > 0 {
			list.Add(wrong...)
			continue
		}
		m, _ := f.Mapping(n) // it has been decoded
		for _, p := range fault.problems(methods) {
			pos := f.Pos(n)
			if e, ok := m.Get(p.key); ok {
				pos = f.Pos(e.Value)
			}
			list.Errorf(pos, "invalid-value", "%s", p.message).Hint = p.hint
		}
		faults = append(faults, fault)
	}
	return faults, list
}

// MarshalJSON writes a fault with the keys that it is read with.
func (s State) MarshalJSON() ([]byte, error) {
	var delay string
	if s.Delay != 0 {
		delay = s.Delay.Round(time.Microsecond).String()
	}
	return json.Marshal(struct {
		Kind        Kind    `json:"kind"`
		Method      string  `json:"method,omitempty"`
		After       bool    `json:"after,omitempty"`
		Code        string  `json:"code,omitempty"`
		Status      int     `json:"status,omitempty"`
		Delay       string  `json:"delay,omitempty"`
		Location    string  `json:"location,omitempty"`
		Shape       Shape   `json:"shape,omitempty"`
		Keep        int     `json:"keep,omitempty"`
		Total       int     `json:"total,omitempty"`
		Field       string  `json:"field,omitempty"`
		Skip        int     `json:"skip,omitempty"`
		Count       int     `json:"count,omitempty"`
		Probability float64 `json:"probability,omitempty"`
		Seed        uint64  `json:"seed,omitempty"`
		Matched     int     `json:"matched"`
		Hit         int     `json:"hit"`
	}{s.Kind, s.Method, s.After, s.Code, s.Status, delay, s.Location, s.Shape, s.Keep, s.Total, s.Field, s.Skip, s.Count, s.Probability, s.Seed, s.Matched, s.Hit})
}
