package testfile

import (
	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Answers are the answers of the portal and of other systems to the calls of a run.
type Answers []Answer

// Answer is what a method answers.
type Answer struct {
	Pos    diag.Pos
	Method string
	// Params are the parameters of the calls that it answers; nil is all calls.
	Params map[string]any
	// Single says that it answers one call, unless it is the last one that fits.
	Single bool
	Result any
	// Refuse is the error code of a refused call, "" for an answer.
	Refuse string
}

// answerForm is the answer to one call.
type answerForm struct {
	Params map[string]any `yaml:"params" doc:"parameters of the call; those that are not named can have any value. Without params the answer fits all calls" example:"{type: PHONE}"`
	Answer value          `yaml:"answer" doc:"the answer" example:"{CONTACT: [7]}"`
	Refuse string         `yaml:"refuse" doc:"the error code of a refusal, instead of an answer" example:"ACCESS_DENIED"`
}

// UnmarshalNode reads a mapping of methods to answers, or a list of {method: {params, answer}}.
func (as *Answers) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	if r := yamlfile.Resolve(n); r == nil || r.Kind != yaml.SequenceNode {
		m, list := f.Mapping(n)
		for _, e := range m.Entries {
			var v value
			list.Add(v.UnmarshalNode(f, e.Value)...)
			*as = append(*as, Answer{Pos: f.Pos(e.Key), Method: e.Name, Result: v.Value})
		}
		return list
	}
	var nodes []*yaml.Node
	list := yamlfile.Decode(f, n, &nodes)
	for _, n := range nodes {
		m, more := f.Mapping(n)
		list.Add(more...)
		if more.HasErrors() {
			continue
		}
		if len(m.Entries) != 1 {
			list.Errorf(f.Pos(n), "wrong-type", "an answer has one method with its params and answer").Hint = "- crm.activity.get: {params: {id: 5}, answer: {SUBJECT: A call}}"
			continue
		}
		var form answerForm
		e := m.Entries[0]
		if more := yamlfile.Decode(f, e.Value, &form); more.HasErrors() {
			list.Add(more...)
			continue
		}
		keys, _ := f.Mapping(e.Value)
		_, answered := keys.Get("answer")
		if answered == (form.Refuse != "") {
			list.Errorf(f.Pos(e.Value), "missing-key", "a call has either an answer or a refusal").Hint = "answer: …, or refuse: ACCESS_DENIED"
		}
		*as = append(*as, Answer{Pos: f.Pos(e.Key), Method: e.Name, Params: form.Params, Single: true, Result: form.Answer.Value, Refuse: form.Refuse})
	}
	return list
}

// Replies are the refusals and the answers of a scenario.
func (s *Scenario) Replies() Answers {
	var out Answers
	for _, r := range s.Refuse {
		out = append(out, Answer{Pos: r.Pos, Method: r.Name, Refuse: compare.Text(r.Value)})
	}
	return append(out, s.Answers...)
}
