package crm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// userSwitches are the yes/no settings of a custom field that only change how it
// is shown, and their defaults.
var userSwitches = [...][2]string{
	{"SHOW_FILTER", "N"}, {"SHOW_IN_LIST", "Y"}, {"EDIT_IN_LIST", "Y"}, {"IS_SEARCHABLE", "N"},
}

// userLabels are the texts of a custom field, by language.
var userLabels = [...]string{"EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL", "ERROR_MESSAGE", "HELP_MESSAGE"}

// userLanguages are those that a portal has texts in.
// https://apidocs.bitrix24.com/api-reference/crm/deals/user-defined-fields/crm-deal-userfield-get.html
var userLanguages = strings.Fields("ar br de en fr hi id in it ja kz la ms pl ru sc tc th tr ua vn")

// changeUserField takes the settings of a custom field from a call. It reports
// whether the call has more than the choices.
func changeUserField(f *model.Field, g value.Fields) (changed bool) {
	u := f.User
	set := func(name string, take func(v any)) {
		if v, ok := g[name]; ok {
			take(v)
			changed = true
		}
	}
	set("SORT", func(v any) { u.Sort = value.Int(v) })
	set("XML_ID", func(v any) { u.XMLID = value.TextOrNull(value.Text(v)) })
	set("MANDATORY", func(v any) { u.Required = v == "Y" })
	for _, sw := range userSwitches {
		set(sw[0], func(v any) { u.Switches[sw[0]] = value.Text(v) })
	}
	set("LABEL", func(v any) { setLabel(u, "", v) })
	for _, name := range userLabels {
		set(name, func(v any) { setLabel(u, name, v) })
	}
	set("SETTINGS", func(v any) {
		u.Settings = rest.WithSettings(u.Settings, v, strings.ToUpper)
		if v, ok := u.Settings.Get("PRECISION"); ok && u.Type == "double" {
			u.Precision = int(value.Int(v))
		}
	})
	f.Flags &^= model.Required
	if u.Required {
		f.Flags |= model.Required
	}
	return changed
}

// setLabel takes a text for all languages or one for each; without a name it is for
// every label.
func setLabel(u *model.CustomField, name string, v any) {
	texts := map[string]string{}
	if byLanguage, ok := value.Array(v); ok {
		for language, text := range byLanguage.All() {
			texts[language] = value.Text(text)
		}
	} else {
		for _, language := range userLanguages {
			texts[language] = value.Text(v)
		}
	}
	for _, label := range userLabels[:3] {
		if name == "" || name == label {
			u.Labels[label] = texts
		}
	}
	if name != "" {
		u.Labels[name] = texts
	}
	if name == "" || name == "EDIT_FORM_LABEL" {
		u.Title = cmp.Or(texts["en"], u.Title)
	}
}

// changeOptions takes the choices of an enumeration: those with the id of an old
// one change it, all others are new, and an entry with DEL=Y goes. With whole,
// old ones that are not named go too.
func changeOptions(s *model.Store, u *model.CustomField, v any, whole bool) {
	entries, _ := value.Array(v)
	old := u.Choices
	named := map[int64]bool{}
	var kept []model.Option
	for _, x := range entries.All() {
		e := value.UpperFields(x)
		o := model.Option{Sort: 100}
		at := slices.IndexFunc(old, func(o model.Option) bool { return o.ID == value.Int(e["ID"]) })
		if at >= 0 {
			o = old[at]
			named[o.ID] = true
		} else {
			o = s.NewOption(value.Text(e["VALUE"]), 100)
		}
		if e["DEL"] == "Y" || at < 0 && o.Value == "" {
			continue
		}
		if v, ok := e["VALUE"]; ok {
			o.Value = value.Text(v)
		}
		e.Int("SORT", &o.Sort)
		if v, ok := e["DEF"]; ok {
			o.Default = v == "Y"
		}
		o.XMLID = cmp.Or(value.Text(e["XML_ID"]), o.XMLID)
		kept = append(kept, o)
	}
	if !whole {
		kept = append(slices.DeleteFunc(slices.Clone(old), func(o model.Option) bool { return named[o.ID] }), kept...)
	}
	slices.SortStableFunc(kept, func(a, b model.Option) int { return cmp.Compare(a.Sort, b.Sort) })
	u.Choices = kept
}

// uniqueXMLIDs reports whether the choices of a call have different XML_IDs.
func uniqueXMLIDs(v any) (twice string, ok bool) {
	entries, _ := value.Array(v)
	seen := map[string]bool{}
	for _, x := range entries.All() {
		id := value.Text(value.UpperFields(x)["XML_ID"])
		if id != "" && seen[id] {
			return id, false
		}
		seen[id] = true
	}
	return "", true
}

func switchOf(u *model.CustomField, name, byDefault string) string {
	return cmp.Or(u.Switches[name], byDefault)
}

// frameJSON are the settings of a custom field that both ways of showing it have,
// under the names that name gives them: all is text.
func userFrameJSON(s *model.Store, t *model.EntityType, f *model.Field, name func(string) string) *php.Array {
	u := f.User
	a := php.NewArray()
	set := func(key string, v any) { a.Set(name(key), v) }
	set("ID", strconv.FormatInt(u.ID, 10))
	set("ENTITY_ID", t.UserEntity())
	set("FIELD_NAME", f.Name)
	set("USER_TYPE_ID", u.Type)
	set("XML_ID", u.XMLID)
	set("SORT", strconv.FormatInt(u.Sort, 10))
	set("MULTIPLE", value.YesNo(u.Multiple))
	set("MANDATORY", value.YesNo(u.Required))
	for _, sw := range userSwitches {
		set(sw[0], switchOf(u, sw[0], sw[1]))
	}
	set("SETTINGS", u.Settings)
	return a
}

// optionsJSON are the choices of an enumeration.
func optionsJSON(u *model.CustomField, of bool, name func(string) string) *php.Array {
	all := php.NewArray()
	for _, o := range u.Choices {
		row := php.NewArray()
		row.Set(name("ID"), strconv.FormatInt(o.ID, 10))
		if of {
			row.Set(name("USER_FIELD_ID"), strconv.FormatInt(u.ID, 10))
			row.Set(name("VALUE"), o.Value)
			row.Set(name("DEF"), value.YesNo(o.Default))
			row.Set(name("SORT"), strconv.FormatInt(o.Sort, 10))
		} else {
			row.Set(name("SORT"), strconv.FormatInt(o.Sort, 10))
			row.Set(name("VALUE"), o.Value)
			row.Set(name("DEF"), value.YesNo(o.Default))
		}
		row.Set(name("XML_ID"), o.XMLID)
		all.Append(row)
	}
	return all
}

// fireUserField raises the event of a custom field: smart processes and invoices
// share one name.
// https://apidocs.bitrix24.com/api-reference/crm/universal/userfieldconfig/events/index.html
func fireUserField(c *rest.Call, t *model.EntityType, f *model.Field, op string) {
	name := "TYPE"
	if t.OwnEvents() {
		name = t.Code
	}
	c.Raise("ONCRM"+name+"USERFIELD"+strings.ToUpper(op),
		value.Object("ID", strconv.FormatInt(f.User.ID, 10), "ENTITY_ID", t.UserEntity(), "FIELD_NAME", f.Name))
}

// opSetValues is the fourth thing that can happen to a custom field.
const opSetValues = "setenumvalues"
