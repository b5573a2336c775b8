package actions

import (
	"strings"
	"time"

	"github.com/b24rules/b24rules/actions/internal/plan"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/datetime"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// fieldDomain is what is known of the texts of a documented field in the items of a
// type, nil when any text is possible. typ is 0 when the type is not known.
func fieldDomain(typ int, f schemas.Field) *formula.Domain {
	switch {
	case f.Type == "date" || f.Type == "datetime":
		return &formula.Domain{
			Code:         "never-equal",
			Date:         map[string]datetime.Sort{"date": datetime.DayText, "datetime": datetime.TimeText}[f.Type],
			Excludes:     func(text string) (why, hint diag.Phrase) { return neverDate(f, text) },
			ExcludesPart: func(part string) (why, hint diag.Phrase) { return neverInDate(f, part) },
		}
	case f.Name == "opportunity":
		return &formula.Domain{ZeroUnset: true}
	case f.HoldsID() != 0:
		return engine.IDDomain(f.HoldsID())
	case f.Name == "id":
		return plan.OwnIDDomain(typ)
	case schemaKind(f.Type) == formula.String:
		return &formula.Domain{
			Code:         "never-equal",
			Words:        wordFields[f.Name] || f.Type == "crm_status" || f.Type == "crm_currency" || f.Type == "boolean",
			ExcludesPart: func(part string) (why, hint diag.Phrase) { return neverInStage(f, part) },
			Excludes:     func(text string) (why, hint diag.Phrase) { return neverValue(typ, f, text) },
			NeverEmpty:   alwaysInStage(typ, f),
		}
	}
	return nil
}

// wordFields are fields whose texts are written by people for people.
var wordFields = map[string]bool{
	"title": true, "comments": true, "name": true, "lastName": true, "secondName": true, "companyTitle": true, "post": true,
	"content": true, "terms": true, "statusDescription": true, "bankingDetails": true,
}

// neverInStage: ids of stages have no small letters.
func neverInStage(f schemas.Field, part string) (why, hint diag.Phrase) {
	upper := strings.ToUpper(part)
	if f.Name != "stageId" && f.Name != "previousStageId" || upper == part || !isASCII(part) {
		return why, hint
	}
	return diag.Phrasef("ids of stages have capital letters, never %q", part), diag.Phrasef("write %q", upper)
}

// neverDate: crm.item.* gives dates and times in RFC 3339, a date with the midnight of
// the server.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-get.html
func neverDate(f schemas.Field, text string) (why, hint diag.Phrase) {
	if _, err := time.Parse(time.RFC3339, text); err == nil || text == "" {
		return why, hint
	}
	return diag.Phrasef("%s is a text such as 2026-01-31T03:00:00+03:00, never %q", f.Name, text),
		diag.Phrasef(`compare the days: formatDate(date(…), "yyyy-MM-dd") == "2026-01-31"`)
}

// neverInDate: a part of such a text, or a text that is compared with it in order.
func neverInDate(f schemas.Field, part string) (why, hint diag.Phrase) {
	if strings.Trim(part, "0123456789-:+T") == "" {
		return why, hint
	}
	return diag.Phrasef("%s is a text such as 2026-01-31T03:00:00+03:00, and %q has another form", f.Name, part),
		diag.Phrasef("compare times: date(…) < date(%q)", "2026-01-31")
}
