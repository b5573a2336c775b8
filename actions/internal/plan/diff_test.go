package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/google/go-cmp/cmp"
)

// testList is a list with a property of each kind that matters here.
func testList() *ListSchema {
	return newListSchema([]*value.Field{
		{Name: "NAME", Title: "Name", Places: value.UnknownPlaces},
		{Name: "PROPERTY_101", Code: "DEAL", Title: "Deal", Places: value.UnknownPlaces},
		{Name: "PROPERTY_102", Code: "PRODUCT", Title: "Product", Places: value.UnknownPlaces},
		{Name: "PROPERTY_103", Code: "QTY", Title: "Quantity", Kind: value.KindNumber, Places: value.UnknownPlaces},
		{Name: "PROPERTY_104", Title: "Отгружено", Places: value.UnknownPlaces},
		{Name: "PROPERTY_105", Title: "Note", Places: value.UnknownPlaces},
		{Name: "PROPERTY_106", Title: "Note", Places: value.UnknownPlaces},
	})
}

// have makes an element of the deal 7.
func have(s *ListSchema, id int64, code, name, product, quantity string) *Record {
	e := &Record{ID: int(id), Code: code, Values: map[string]any{}, valueIDs: map[string][]string{}}
	e.Values["NAME"] = name
	for prop, v := range map[string]string{"PROPERTY_101": "7", "PROPERTY_102": product, "PROPERTY_103": quantity} {
		if v != "" {
			e.Values[prop], e.valueIDs[prop] = []any{v}, []string{fmt.Sprint(id*10 + int64(len(e.valueIDs)))}
		}
	}
	return e
}

func want(s *ListSchema, codes Codes, key, name, product, quantity string) Desired {
	return Desired{
		Key:    codes.Of(key),
		Values: []FieldValue{{s.byName["NAME"], name}, {s.byName["PROPERTY_102"], product}, {s.byName["PROPERTY_103"], n(quantity)}, {s.byName["PROPERTY_101"], n("7")}},
		Match:  []FieldValue{{s.byName["PROPERTY_102"], product}},
	}
}

// describe writes a plan down. add names a record that is to be added, and
// update says what becomes of one.
func (p Plan) describe(add func(Desired) string, update func(Change) string) string {
	var b strings.Builder
	for _, d := range p.Adds {
		fmt.Fprintf(&b, "add %s\n", add(d))
	}
	for _, u := range p.Updates {
		fmt.Fprintf(&b, "update %d %s\n", u.Record.ID, update(u))
	}
	for _, r := range p.Deletes {
		fmt.Fprintf(&b, "delete %d\n", r.ID)
	}
	fmt.Fprintf(&b, "kept %d adopted %d doubles %d foreign %d mine %d", len(p.Kept), p.Adopted, p.Doubles, p.Foreign, p.Mine)
	return b.String()
}

// ofElements describes a plan for elements whose names are "row" and their key.
func ofElements(p Plan) string {
	name := func(d Desired) string { return strings.TrimPrefix(d.Values[0].Value.(string), "row ") }
	return p.describe(name, func(u Change) string { return "for " + name(u.Desired) })
}

func TestPlanSync(t *testing.T) {
	s := testList()
	scope := []FieldValue{{s.byName["PROPERTY_101"], n("7")}}
	codes := NewCodes("deal-shipments", scope)
	other := NewCodes("returns", scope)
	w := func(key, product, quantity string) Desired { return want(s, codes, key, "row "+key, product, quantity) }
	e := func(id int64, key, product, quantity string) *Record {
		return have(s, id, codes.Of(key), "row "+key, product, quantity)
	}
	words := func(r *Record, text string) *Record {
		r.Values["PROPERTY_104"] = []any{text}
		return r
	}
	tests := []struct {
		name     string
		existing []*Record
		wants    []Desired
		remove   bool
		plan     string
	}{
		{"first fill", nil, []Desired{w("a", "1", "1"), w("b", "2", "1")}, false, "add a\nadd b\nkept 0 adopted 0 doubles 0 foreign 0 mine 0"},
		{"nothing to do", []*Record{e(1, "a", "1", "1.00")}, []Desired{w("a", "1", "1")}, false, "kept 1 adopted 0 doubles 0 foreign 0 mine 1"},
		{"one changes", []*Record{e(1, "a", "1", "1"), e(2, "b", "2", "1")}, []Desired{w("a", "1", "5"), w("b", "2", "1")}, false, "update 1 for a\nkept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"one goes", []*Record{e(1, "a", "1", "1"), e(2, "b", "2", "1")}, []Desired{w("b", "2", "1")}, false, "delete 1\nkept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"a person's stays", []*Record{have(s, 3, "", "by hand", "9", "1")}, nil, false, "kept 0 adopted 0 doubles 0 foreign 1 mine 0"},
		{"a person's goes", []*Record{have(s, 3, "", "by hand", "9", "1")}, nil, true, "delete 3\nkept 0 adopted 0 doubles 0 foreign 0 mine 1"},
		{
			"an older script's is taken over, each once",
			[]*Record{have(s, 1, "old-1", "x", "5", "1"), have(s, 2, "old-2", "x", "5", "1"), have(s, 3, "", "x", "6", "1")},
			[]Desired{w("5#1", "5", "1"), w("5#2", "5", "1"), w("5#3", "5", "1")},
			false,
			"add 5#3\nupdate 1 for 5#1\nupdate 2 for 5#2\nkept 0 adopted 2 doubles 0 foreign 1 mine 0",
		},
		{"nothing empty is taken over", []*Record{have(s, 1, "", "x", "", "1")}, []Desired{w("a", "", "1")}, false, "add a\nkept 0 adopted 0 doubles 0 foreign 1 mine 0"},
		{"another rule's is not taken over", []*Record{have(s, 1, other.Of("a"), "x", "1", "1")}, []Desired{w("a", "1", "1")}, true, "add a\nkept 0 adopted 0 doubles 0 foreign 1 mine 0"},
		{"two of one code", []*Record{e(1, "a", "1", "1"), e(2, "a", "1", "1")}, []Desired{w("a", "1", "1")}, false, "delete 2\nkept 1 adopted 0 doubles 1 foreign 0 mine 2"},
		{"two of one code, and people wrote into the newer", []*Record{e(1, "a", "1", "1"), words(e(2, "a", "1", "5"), "x")}, []Desired{w("a", "1", "1")}, false, "update 2 for a\ndelete 1\nkept 0 adopted 0 doubles 1 foreign 0 mine 2"},
		{"two of one code with the same values of people", []*Record{words(e(1, "a", "1", "1"), "x"), words(e(2, "a", "1", "1"), "x")}, []Desired{w("a", "1", "1")}, false, "delete 2\nkept 1 adopted 0 doubles 1 foreign 0 mine 2"},
		{"two of one code, and people wrote into both", []*Record{words(e(1, "a", "1", "1"), "x"), words(e(2, "a", "1", "1"), "y")}, []Desired{w("a", "1", "1")}, false, "kept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"three of one code, and people wrote into two", []*Record{e(1, "a", "1", "1"), words(e(2, "a", "1", "1"), "x"), words(e(3, "a", "1", "1"), "y")}, []Desired{w("a", "1", "1")}, false, "delete 1\nkept 1 adopted 0 doubles 1 foreign 0 mine 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.plan, ofElements(Diff(tt.existing, tt.wants, ElementOptions(&List{Schema: s}, codes, tt.remove)))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// testType has a text key, a number key and two fields that rows fill.
func testType() *ItemSchema {
	s := &ItemSchema{Type: 1030, byName: map[string]*value.Field{}}
	for _, f := range []*value.Field{
		{Name: "id", Kind: value.KindNumber, ReadOnly: true, ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "title", ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "ufDeal", Kind: value.KindNumber, ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "ufRow", ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "ufPart", Kind: value.KindNumber, ZeroIsEmpty: true, Places: value.UnknownPlaces},
		{Name: "ufQty", Kind: value.KindNumber, ZeroIsEmpty: true, Places: 2},
	} {
		s.fields = append(s.fields, f)
		s.byName[f.Name] = f
	}
	return s
}

func TestPlanItems(t *testing.T) {
	s := testType()
	row, part := s.byName["ufRow"], s.byName["ufPart"]
	i := func(id int, key any, quantity string) *Record {
		return &Record{ID: id, typ: s.Type, Values: map[string]any{"id": n(fmt.Sprint(id)), "title": "row", "ufDeal": n("7"), "ufRow": key, "ufPart": nil, "ufQty": n(quantity)}}
	}
	parted := func(id int, key, partOf any, quantity string) *Record {
		item := i(id, key, quantity)
		item.Values["ufPart"] = partOf
		return item
	}
	w := func(key, quantity string, more ...FieldValue) Desired {
		out := Desired{Exact: append([]FieldValue{{row, key}}, more...)}
		texts := make([]string, len(out.Exact))
		for j, k := range out.Exact {
			texts[j] = k.Field.Name + "=" + k.Field.Canonical(k.Value)
		}
		slices.Sort(texts)
		out.Key = strings.Join(texts, "\x00")
		out.Values = append([]FieldValue{{s.byName["ufQty"], n(quantity)}, {s.byName["ufDeal"], n("7")}}, out.Exact...)
		return out
	}
	tests := []struct {
		name     string
		existing []*Record
		wants    []Desired
		remove   bool
		plan     string
	}{
		{"first fill", nil, []Desired{w("a", "1"), w("b", "1")}, false, "add a\nadd b\nkept 0 adopted 0 doubles 0 foreign 0 mine 0"},
		{"nothing to do", []*Record{i(1, "a", "1.00")}, []Desired{w("a", "1")}, false, "kept 1 adopted 0 doubles 0 foreign 0 mine 1"},
		{"nothing to do as the field keeps it", []*Record{i(1, "a", "1.01")}, []Desired{w("a", "1.005")}, false, "kept 1 adopted 0 doubles 0 foreign 0 mine 1"},
		{"one changes", []*Record{i(1, "a", "1"), i(2, "b", "1")}, []Desired{w("a", "5"), w("b", "1")}, false, "update 1 ufQty\nkept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"one goes", []*Record{i(1, "a", "1"), i(2, "b", "1")}, []Desired{w("b", "1")}, false, "delete 1\nkept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"all go", []*Record{i(1, "a", "1"), i(2, "b", "1")}, nil, false, "delete 1\ndelete 2\nkept 0 adopted 0 doubles 0 foreign 0 mine 2"},
		{"an empty key is a person's and stays", []*Record{i(3, nil, "1"), i(4, "", "1"), i(5, n("0"), "1")}, nil, false, "kept 0 adopted 0 doubles 0 foreign 3 mine 0"},
		{"a person's goes", []*Record{i(3, nil, "1"), i(4, "a", "1")}, []Desired{w("a", "1")}, true, "delete 3\nkept 1 adopted 0 doubles 0 foreign 0 mine 2"},
		{"a person's is not taken over", []*Record{i(3, nil, "1")}, []Desired{w("a", "1")}, false, "add a\nkept 0 adopted 0 doubles 0 foreign 1 mine 0"},
		{"two of one key", []*Record{i(1, "a", "1"), i(2, "a", "1"), i(3, "b", "1")}, []Desired{w("a", "1")}, false, "delete 2\ndelete 3\nkept 1 adopted 0 doubles 1 foreign 0 mine 3"},
		{"a number is known again as text", []*Record{i(1, n("5"), "1")}, []Desired{w("5", "1")}, false, "kept 1 adopted 0 doubles 0 foreign 0 mine 1"},
		{
			"a key of two fields",
			[]*Record{parted(1, "a", n("1"), "1"), parted(2, "a", n("2"), "1"), parted(3, "a", nil, "1"), parted(4, nil, n("3"), "1")},
			[]Desired{w("a", "1", FieldValue{part, n("1")}), w("a", "2", FieldValue{part, n("2")})},
			false,
			"update 2 ufQty\ndelete 3\ndelete 4\nkept 1 adopted 0 doubles 0 foreign 0 mine 4",
		},
		{"deletes and people's in the order of ids", []*Record{i(1, nil, "1"), i(2, "a", "1"), i(3, nil, "1")}, nil, true, "delete 1\ndelete 2\ndelete 3\nkept 0 adopted 0 doubles 0 foreign 0 mine 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := []*value.Field{row}
			for _, w := range tt.wants {
				if len(w.Exact) > 1 {
					keys = []*value.Field{row, part}
				}
			}
			p := Diff(tt.existing, tt.wants, ItemOptions(keys, tt.remove))
			key := func(d Desired) string { return d.Exact[0].Value.(string) }
			got := p.describe(key, func(u Change) string { return FieldNames(u.Changed) })
			if diff := cmp.Diff(tt.plan, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDeleteLimit(t *testing.T) {
	for _, tt := range []struct {
		limit         any
		mine, deletes int
		refused       bool
	}{
		{nil, 6, 5, false},
		{nil, 6, 6, true},
		{nil, 100, 50, false},
		{nil, 100, 51, true},
		{n("3"), 100, 3, false},
		{n("3"), 100, 4, true},
		{n("0"), 1, 1, true},
		{"20%", 10, 2, false},
		{"20%", 10, 3, true},
		{"100%", 3, 3, false},
		{"200", 400, 200, false},
	} {
		l, err := ParseDeleteLimit(tt.limit)
		if err != nil {
			t.Fatalf("%v: %v", tt.limit, err)
		}
		if err := l.Check(tt.deletes, tt.mine, "elements"); (err != nil) != tt.refused {
			t.Errorf("limit %v: deleting %d of %d gives %v", tt.limit, tt.deletes, tt.mine, err)
		}
	}
	for _, bad := range []any{"half", "-1", n("1.5"), n("-1"), "101%", "%", true} {
		if _, err := ParseDeleteLimit(bad); err == nil {
			t.Errorf("%v is taken for a limit", bad)
		}
	}
}

func TestOwnCodes(t *testing.T) {
	s := testList()
	deal := func(v any) []FieldValue { return []FieldValue{{s.byName["PROPERTY_101"], v}} }
	a := NewCodes("deal-shipments", deal(n("7")))
	if b := NewCodes("deal-shipments", deal("7")); a != b {
		t.Error("the id 7 and the text 7 give different codes")
	}
	two := []FieldValue{{s.byName["PROPERTY_101"], "7"}, {s.byName["PROPERTY_102"], "1"}}
	if NewCodes("x", two) != NewCodes("x", []FieldValue{two[1], two[0]}) {
		t.Error("the order of the scope changes the codes")
	}
	seen := map[string]string{}
	for _, c := range []struct{ owner, deal, key string }{
		{"deal-shipments", "7", "1#1"}, {"deal-shipments", "7", "1#11"}, {"deal-shipments", "71", "#1"}, {"deal-shipments7", "", "1#1"}, {"returns", "7", "1#1"},
	} {
		code := NewCodes(c.owner, deal(c.deal)).Of(c.key)
		if prev, taken := seen[code]; taken || len(code) > 40 || !Made(code) {
			t.Errorf("%v has the code %s (%s)", c, code, prev)
		}
		seen[code] = fmt.Sprint(c)
	}
	if want := "b24r-"; !strings.HasPrefix(a.Of("x"), want) || !a.Owns(a.Of("x")) || a.Owns("") {
		t.Errorf("%s is not known again", a.Of("x"))
	}
	// A change here replaces the elements of every list, so it must be intended.
	if got, want := a.Of("9621#1"), "b24r-cb1388242dc8-b8e7f2f744d60fdd"; got != want {
		t.Errorf("the code of a known key is %s, was %s", got, want)
	}
}

func TestResolve(t *testing.T) {
	s := testList()
	for name, want := range map[string]string{
		"DEAL": "PROPERTY_101", "PROPERTY_101": "PROPERTY_101", "PROPERTY_DEAL": "PROPERTY_101", "Deal": "PROPERTY_101",
		"Отгружено": "PROPERTY_104", "NAME": "NAME", "Name": "NAME", "name": "NAME", "deal": "PROPERTY_101",
	} {
		if f, err := s.Resolve(name); err != nil || f.Name != want {
			t.Errorf("%s is %v, %v, want %s", name, f, err, want)
		}
	}
	for name, want := range map[string]string{
		"DAEL": `the list has no property "DAEL", did you mean "DEAL"?`,
		"Note": `2 properties of the list are named "Note": PROPERTY_105 (Note), PROPERTY_106 (Note)`,
		"???":  `the list has no property "???", it has NAME, DEAL, PRODUCT, QTY, PROPERTY_104 (Отгружено), PROPERTY_105 (Note), PROPERTY_106 (Note)`,
	} {
		if _, err := s.Resolve(name); err == nil || err.Error() != want {
			t.Errorf("%s gives %v\nwant %s", name, err, want)
		}
	}
}

// TestPlanTerminates applies random plans to a list of elements in memory: the
// second sync after any state must be empty, and no element may belong to two
// rows.
func TestPlanTerminates(t *testing.T) {
	s := testList()
	scope := []FieldValue{{s.byName["PROPERTY_101"], n("7")}}
	codes := NewCodes("deal-shipments", scope)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var existing []*Record
		id := int64(0)
		for range rnd.IntN(8) {
			id++
			code := []string{"", "old", codes.Of(fmt.Sprint(rnd.IntN(4)))}[rnd.IntN(3)]
			existing = append(existing, have(s, id, code, "x", fmt.Sprint(rnd.IntN(4)), fmt.Sprint(rnd.IntN(3))))
		}
		var wants []Desired
		for _, key := range rnd.Perm(6)[:rnd.IntN(6)] {
			wants = append(wants, want(s, codes, fmt.Sprint(key), "row", fmt.Sprint(rnd.IntN(4)), fmt.Sprint(rnd.IntN(3))))
		}
		p := Diff(existing, wants, ElementOptions(&List{Schema: s}, codes, false))
		after := applied(s, existing, p, &id)
		again := Diff(after, wants, ElementOptions(&List{Schema: s}, codes, false))
		if len(again.Adds)+len(again.Updates)+len(again.Deletes) > 0 || len(again.Kept) != len(wants) {
			t.Fatalf("first\n%s\nthen\n%s", ofElements(p), ofElements(again))
		}
	}
}

// applied is the list after a plan was written.
func applied(s *ListSchema, existing []*Record, p Plan, id *int64) []*Record {
	gone := map[*Record]bool{}
	for _, e := range p.Deletes {
		gone[e] = true
	}
	var after []*Record
	for _, e := range existing {
		if !gone[e] {
			after = append(after, e)
		}
	}
	set := func(e *Record, w Desired) {
		e.Code = w.Key
		for _, x := range w.Values {
			e.Values[x.Field.Name] = []any{x.Value}
		}
	}
	for _, u := range p.Updates {
		set(u.Record, u.Desired)
	}
	for _, w := range p.Adds {
		*id++
		e := &Record{ID: int(*id), Values: map[string]any{}, valueIDs: map[string][]string{}}
		set(e, w)
		after = append(after, e)
	}
	return after
}

func TestUpdateFieldsPreserve(t *testing.T) {
	s := newListSchema([]*value.Field{
		{Name: "NAME"},
		{Name: "PROPERTY_1", Code: "QTY", Kind: value.KindNumber, Places: value.UnknownPlaces},
		{Name: "PROPERTY_2", Multiple: true},
		{Name: "PROPERTY_3", Kind: value.KindDateTime},
		{Name: "PROPERTY_4", Kind: value.KindHTML},
		{Name: "PROPERTY_5", Kind: value.KindFile, Multiple: true},
		{Name: "PROPERTY_6", Kind: value.KindMoney},
		{Name: "PROPERTY_7", Kind: value.KindDay},
		{Name: "DETAIL_TEXT"},
	})
	e, err := decodeElement([]byte(`{"ID":"12","IBLOCK_ID":"47","NAME":"old","CODE":"x","IBLOCK_SECTION_ID":"3","CREATED_BY":"1","BP_PUBLISHED":"Y","DETAIL_TEXT":"long",
		"PROPERTY_1":{"100":"5.0000"},"PROPERTY_2":{"1010":"b","102":"a"},"PROPERTY_3":{"103":"03/04/2024 10:00:00"},"PROPERTY_4":{"104":{"TEXT":"<b>x</b>","TYPE":"HTML"}},
		"PROPERTY_5":{"105":"375","106":"376"},"PROPERTY_6":{"107":"300|USD"},"PROPERTY_7":{"108":"31/12/2024"},"PROPERTY_99":{"109":"newer than our metadata"}}`))
	if err != nil {
		t.Fatal(err)
	}
	l := &List{Schema: s}
	if err := l.LearnDates(t.Context(), nil, []*Record{e}); err != nil { // 31/12 tells, the portal is not asked
		t.Fatal(err)
	}
	got := s.updateFields(e, []FieldValue{{s.byName["NAME"], "new"}, {s.byName["PROPERTY_1"], nil}})
	want := map[string]any{
		"NAME": "new", "IBLOCK_SECTION_ID": "3", "DETAIL_TEXT": "long",
		"PROPERTY_2":  map[string]any{"102": "a", "1010": "b"},
		"PROPERTY_3":  map[string]any{"103": "2024-04-03 10:00:00"},
		"PROPERTY_4":  map[string]any{"104": "<b>x</b>"},
		"PROPERTY_6":  map[string]any{"107": "300|USD"},
		"PROPERTY_7":  map[string]any{"108": "2024-12-31"},
		"PROPERTY_99": map[string]any{"109": "newer than our metadata"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]any{"a", "b"}, e.Values["PROPERTY_2"]); diff != "" {
		t.Errorf("values are not in the order of their ids: %s", diff)
	}
}
