package crm

import (
	"fmt"
	"maps"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// newValues are those of a new item of which nothing is given.
// https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-add.html
func newValues(c *rest.Call, it *model.Item) map[string]any {
	t := it.Type
	v := map[string]any{"ID": it.ID}
	now := c.SavedAt()
	for _, name := range []string{"CREATED_TIME", "UPDATED_TIME", "MOVED_TIME", "LAST_ACTIVITY_TIME"} {
		v[name] = now
	}
	for _, name := range []string{"CREATED_BY", "UPDATED_BY", "MOVED_BY", "LAST_ACTIVITY_BY", "ASSIGNED_BY_ID"} {
		v[name] = c.Request.By.User
	}
	v["OPENED"] = true
	v["CATEGORY_ID"] = t.DefaultCategory().ID
	week := value.DateOf(now.AddDate(0, 0, 7))
	v["BEGINDATE"], v["CLOSEDATE"], v["ACTUAL_DATE"] = value.DateOf(now), week, week
	v["CURRENCY_ID"] = c.Options.Currency
	v["XML_ID"] = ""
	v["ACCOUNT_NUMBER"], v["QUOTE_NUMBER"] = fmt.Sprint(it.ID), fmt.Sprint(it.ID)
	if t.Fields.ByName["MYCOMPANY_ID"] != nil {
		v["MYCOMPANY_ID"] = ownCompany(c.Store)
	}
	maps.Copy(v, t.Defaults)
	for _, f := range t.Fields.All {
		if f.User != nil {
			v[f.Name] = userDefault(c.Store, f, now)
		}
	}
	return v
}

// ownCompany is the first of the portal's own companies, nil without one.
func ownCompany(s *model.Store) any {
	companies := s.Table(model.TypeCompany)
	for _, it := range companies.All() {
		if it.Values["IS_MY_COMPANY"] == true {
			return it.ID
		}
	}
	return nil
}

// userDefault is the value that a custom field has on a new item, nil for none.
// https://apidocs.bitrix24.com/api-reference/crm/universal/userfieldconfig/userfieldconfig-add.html
func userDefault(s *model.Store, f *model.Field, now time.Time) any {
	var values []any
	for _, o := range f.User.Choices {
		if o.Default {
			values = append(values, o.ID)
		}
	}
	if given, _ := f.User.Settings.Get("DEFAULT_VALUE"); !value.IsEmpty(given) && f.Type != "enumeration" {
		if v, ok := readDefault(s, f, given, now); ok && v != nil {
			values = append(values, v)
		}
	}
	switch {
	case len(values) == 0:
		return nil
	case f.Has(model.Multiple):
		return values
	}
	return values[0]
}

// readDefault reads DEFAULT_VALUE of a custom field's settings: of dates it is an
// object that may mean the moment of the adding, of yes/no fields 1 or 0.
func readDefault(s *model.Store, f *model.Field, given any, now time.Time) (v any, ok bool) {
	if f.Type == "boolean" {
		return value.Int(given) != 0, true
	}
	if when, isDate := value.Array(given); isDate {
		kind, _ := when.Get("TYPE")
		given, _ = when.Get("VALUE")
		switch kind {
		case "NOW":
			given = now.Format(time.RFC3339)
		case "FIXED":
		default:
			return nil, false
		}
	}
	v, ok, err := readOneValue(s, f, given)
	return v, ok && err == nil
}
