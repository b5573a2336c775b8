package export

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/history"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/ruletest/compare"
	"github.com/b24rules/b24rules/internal/ruletest/testfile"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/schemas"
)

// document builds YAML nodes in the order in which they are added.
type document struct{ yaml.Node }

func mapping() *document { return &document{yaml.Node{Kind: yaml.MappingNode}} }

func (d *document) add(name string, v *yaml.Node) *document {
	d.Content = append(d.Content, scalarNode(name), v)
	return d
}

func (d *document) flow() *yaml.Node {
	d.Style = yaml.FlowStyle
	return &d.Node
}

func (d *document) empty() bool { return len(d.Content) == 0 }

var plainNumber = regexp.MustCompile(`^-?(0|[1-9]\d{0,15})(\.\d{1,10})?$`)

// scalarNode writes a scalar. A number that the portal sent as text becomes a number,
// because values are compared by meaning.
func scalarNode(v any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch x := v.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(x)
	case string:
		n.Value = x
		if !plainNumber.MatchString(x) {
			n.Tag = "!!str"
			if bare := x != "" && !compare.IsPlain(x); bare || x == "" {
				n.Style = yaml.DoubleQuotedStyle
			}
		}
	default:
		n.Value = compare.Text(v)
		if num, err := num.Parse(n.Value); err == nil {
			n.Value = num.String()
		}
	}
	return n
}

// node writes any value. A record is written on one line.
func node(v any) *yaml.Node {
	switch x := v.(type) {
	case map[string]any:
		d := mapping()
		for _, name := range fieldOrder(x) {
			d.add(name, node(x[name]))
		}
		return d.flow()
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, e := range x {
			n.Content = append(n.Content, node(e))
		}
		return n
	}
	return scalarNode(v)
}

// fieldOrder returns the names of m, the most important ones first.
func fieldOrder(m map[string]any) []string {
	first := []string{"ID", "CODE", "NAME", "title", "productId", "productName", "price", "quantity", "entityTypeId", "id", "IBLOCK_ID", "ELEMENT_ID"}
	rank := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// testText writes the test of a run.
type testText struct {
	rec   *recording
	calls []testfile.Call
	// callsAreMasked is true if calls contain masks already.
	callsAreMasked bool
	// skip holds the built-in checks that the test skips, with the reason.
	skip  map[string]string
	masks *masks // nil if nothing is masked
}

// yaml writes the test file.
func (w *testText) yaml(rules string) []byte {
	root := mapping()
	root.add("rules", node([]any{rules}))
	if p := w.portalNode(); !p.empty() {
		root.add("portal", &p.Node)
	}
	if in := w.inputsNode(); !in.empty() {
		root.add("inputs", in.flow())
	}
	test := mapping()
	test.add("name", scalarNode(w.rec.run.Name))
	if given := w.givenNode(); !given.empty() {
		test.add("given", &given.Node)
	}
	test.add("event", w.eventNode())
	w.expectNodes(test)
	root.add("tests", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{&test.Node}})
	var b bytes.Buffer
	for line := range strings.Lines(w.rec.run.Comment) {
		b.WriteString("# " + strings.TrimRight(line, "\n") + "\n")
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&root.Node); err != nil {
		panic(err) // these nodes can always be encoded
	}
	return b.Bytes()
}

func (w *testText) inputsNode() *document {
	d := mapping()
	for _, name := range slices.Sorted(maps.Keys(w.rec.run.Record.Inputs)) {
		d.add(name, scalarNode(w.rec.run.Record.Inputs[name]))
	}
	return d
}

// portalNode describes the types and lists that the run needs.
func (w *testText) portalNode() *document {
	out := mapping()
	types := mapping()
	for _, key := range compare.SortedByNumber(w.rec.run.Record.Types) {
		typ, _ := strconv.Atoi(key)
		fields := w.typeColumns(w.rec.run.Record.Types[key])
		switch {
		case testportal.BuiltinKeys[typ] != "":
			if !fields.empty() {
				out.add(testportal.BuiltinKeys[typ], &fields.Node)
			}
		case typ >= schemas.FirstDynamicType:
			types.add(key, w.typeNode(typ, fields))
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(w.rec.items)) {
		if _, described := w.rec.run.Record.Types[strconv.Itoa(typ)]; !described && typ >= schemas.FirstDynamicType {
			types.add(strconv.Itoa(typ), w.typeNode(typ, mapping()))
		}
	}
	if !types.empty() {
		out.add("types", &types.Node)
	}
	lists := mapping()
	for _, id := range slices.Sorted(maps.Keys(w.rec.lists)) {
		properties := mapping()
		for _, f := range w.rec.run.Record.Lists[strconv.Itoa(id)] {
			properties.add(propertyLabel(f), propertyNode(f))
		}
		l := mapping().add("name", scalarNode("List "+strconv.Itoa(id)))
		lists.add(strconv.Itoa(id), &l.add("properties", &properties.Node).Node)
	}
	if !lists.empty() {
		out.add("lists", &lists.Node)
	}
	return out
}

func (w *testText) typeNode(typ int, fields *document) *yaml.Node {
	d := mapping().add("title", scalarNode("Type "+strconv.Itoa(typ)))
	rows, stages := false, false
	for _, x := range w.rec.items[typ] {
		rows = rows || x.hasRows
		_, staged := x.fields["stageId"]
		stages = stages || staged
	}
	if rows || w.rec.run.Entity.TypeID == typ {
		d.add("products", scalarNode(true))
	}
	if stages {
		d.add("stages", scalarNode(true))
	}
	if !fields.empty() {
		d.add("fields", &fields.Node)
	}
	return &d.Node
}

// typeColumns returns the custom fields that the rule names or an item has.
func (w *testText) typeColumns(fields []history.FieldRecord) *document {
	d := mapping()
	for _, f := range fields {
		used := w.rec.named(f.Name)
		for _, items := range w.rec.items {
			for _, x := range items {
				_, has := x.fields[f.Name]
				used = used || has
			}
		}
		if !used {
			continue
		}
		typ := f.Type
		if !slices.Contains(testportal.FieldWords[:], typ) {
			typ = "string"
		}
		d.add(f.Name, columnNode(f, typ, 0))
	}
	return d
}

func propertyNode(f history.FieldRecord) *yaml.Node {
	typ := "string"
	for _, t := range testportal.PropertyTypes {
		if t.Typ == f.Type {
			typ = t.Word
		}
	}
	id, _ := strconv.Atoi(strings.TrimPrefix(f.Name, "PROPERTY_"))
	return columnNode(f, typ, id)
}

func columnNode(f history.FieldRecord, typ string, id int) *yaml.Node {
	if id == 0 && len(f.Enum) == 0 && !f.Multiple {
		return scalarNode(typ)
	}
	d := mapping().add("type", scalarNode(typ))
	if id != 0 {
		d.add("id", scalarNode(strconv.Itoa(id)))
	}
	if f.Multiple {
		d.add("multiple", scalarNode(true))
	}
	if len(f.Enum) > 0 {
		var options []any
		for _, key := range compare.SortedByNumber(f.Enum) {
			options = append(options, f.Enum[key])
		}
		d.add("options", node(options))
	}
	return d.flow()
}

func (w *testText) givenNode() *document {
	out := mapping()
	others := mapping()
	for _, typ := range slices.Sorted(maps.Keys(w.rec.items)) {
		items := mapping()
		for _, id := range slices.Sorted(maps.Keys(w.rec.items[typ])) {
			items.add(strconv.FormatInt(id, 10), w.itemNode(w.rec.items[typ][id]))
		}
		if key := testportal.BuiltinKeys[typ]; key != "" {
			out.add(key, &items.Node)
		} else {
			others.add(strconv.Itoa(typ), &items.Node)
		}
	}
	if !others.empty() {
		out.add("items", &others.Node)
	}
	elements := mapping()
	for _, id := range slices.Sorted(maps.Keys(w.rec.elements)) {
		seq := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range w.rec.elements[id] {
			values := maps.Clone(w.masks.values(e.values))
			values["ID"] = json.Number(strconv.FormatInt(e.id, 10))
			if e.code != "" {
				values["CODE"] = w.masks.code(e.code)
			}
			seq.Content = append(seq.Content, node(values))
		}
		if len(seq.Content) > 0 {
			elements.add(strconv.Itoa(id), seq)
		}
	}
	if !elements.empty() {
		out.add("elements", &elements.Node)
	}
	return out
}

func (w *testText) itemNode(x *recordedItem) *yaml.Node {
	values := w.masks.values(x.fields)
	if len(x.rows) == 0 {
		return node(values)
	}
	d := mapping()
	for _, name := range fieldOrder(values) {
		d.add(name, node(values[name]))
	}
	rows := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range x.rows {
		rows.Content = append(rows.Content, node(w.masks.values(r)))
	}
	return &d.add(testportal.RowsKey, rows).Node
}

// eventNode writes the event, in the short form if possible.
func (w *testText) eventNode() *yaml.Node {
	heard := engine.Event{Code: w.rec.run.Code, Data: w.rec.run.Data}
	if name, _ := heard.Sender(); name != "" {
		return w.sourceNode(name)
	}
	id := w.rec.run.Entity.ID
	if f := compare.Object(w.rec.run.Data["FIELDS"]); f != nil && compare.Text(f["ID"]) != "" {
		id = compare.Text(f["ID"])
	}
	data := map[string]any{}
	for name, v := range w.rec.run.Data {
		if name != "FIELDS" {
			data[name] = v
		}
	}
	timed := strings.Contains(w.rec.ruleText, "event.time") && !w.rec.run.Time.IsZero()
	if len(data) == 0 && !timed {
		short := w.rec.run.Code + " " + id
		if _, suffix, ok := schemas.LookupEvent(w.rec.run.Code); ok && suffix == 0 && w.rec.run.Entity.Kind == "item" {
			short = w.rec.run.Code + " " + strconv.Itoa(w.rec.run.Entity.TypeID) + ":" + id
		}
		return scalarNode(short)
	}
	d := mapping().add("code", scalarNode(w.rec.run.Code)).add("id", scalarNode(id))
	if w.rec.run.Entity.Kind == "item" {
		d.add("entityTypeId", scalarNode(strconv.Itoa(w.rec.run.Entity.TypeID)))
	}
	if len(data) > 0 {
		d.add("data", node(w.masks.values(data)))
	}
	if timed {
		d.add("time", scalarNode(w.rec.run.Time.Format(time.RFC3339)))
	}
	return d.flow()
}

// sourceNode writes a request to a hook, or the call of a robot.
func (w *testText) sourceNode(name string) *yaml.Node {
	data, d := w.rec.run.Data["data"], mapping().add("hook", scalarNode(name))
	if w.rec.run.Code == engine.CodeRobot {
		data, d = w.rec.run.Data["query"], mapping().add("robot", scalarNode(name)).add("id", scalarNode(w.rec.run.Entity.ID)).
			add("entityTypeId", scalarNode(strconv.Itoa(w.rec.run.Entity.TypeID)))
	}
	if values := compare.Object(data); len(values) > 0 {
		d.add("data", node(w.masks.values(values)))
	}
	if strings.Contains(w.rec.ruleText, "event.time") && !w.rec.run.Time.IsZero() {
		d.add("time", scalarNode(w.rec.run.Time.Format(time.RFC3339)))
	}
	return d.flow()
}

func (w *testText) expectNodes(test *document) {
	if len(w.rec.answers) > 0 {
		test.add("answers", block(w.masks.values(w.rec.answers)))
	}
	if len(w.rec.refuse) > 0 {
		refused := map[string]any{}
		for method, code := range w.rec.refuse {
			refused[method] = code
		}
		test.add("refuse", block(refused))
	}
	word, errorText := w.rec.outcome()
	if word != "" {
		test.add("outcome", scalarNode(word))
	}
	if errorText != "" {
		test.add("error", scalarNode(errorText))
	}
	if len(w.skip) > 0 {
		defer func() {
			reasons := mapping()
			for _, name := range slices.Sorted(maps.Keys(w.skip)) {
				reasons.add(name, scalarNode(w.skip[name]))
			}
			test.add("skip_proofs", &reasons.Node)
		}()
	}
	if w.rec.incomplete || w.calls == nil && w.rec.writes != nil {
		return
	}
	calls := &yaml.Node{Kind: yaml.SequenceNode}
	for _, c := range w.calls {
		params := c.Params
		if !w.callsAreMasked {
			params = w.masks.values(params)
		}
		calls.Content = append(calls.Content, &mapping().add(c.Method, block(params)).Node)
	}
	if len(calls.Content) == 0 {
		calls.Style = yaml.FlowStyle
	}
	test.add("calls", calls)
}

// block writes a record with a line for each of its values.
func block(m map[string]any) *yaml.Node {
	d := mapping()
	for _, name := range fieldOrder(m) {
		d.add(name, node(m[name]))
	}
	if d.empty() {
		return d.flow()
	}
	return &d.Node
}
