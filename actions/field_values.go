package actions

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/currency"

	"github.com/b24rules/b24rules/actions/internal/inportal"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/schemas"
)

// neverValue says why a text is never the value of a documented field, and what to write
// instead. An empty reason means that the text is possible. typ is the type of the items,
// 0 when it is not known.
func neverValue(typ int, f schemas.Field, text string) (why, hint diag.Phrase) {
	trimmed := strings.TrimSpace(text)
	switch {
	case text == "" && alwaysInStage(typ, f):
		return diag.Phrasef("%s is never empty", f.Name), hint
	case text == "" || !slices.Contains([]string{"boolean", "crm_status", "crm_currency"}, f.Type) && f.Name != "stageSemanticId":
		return why, hint
	case trimmed != text:
		return diag.Phrasef("%s has no spaces around it, and %q has", f.Name, text), diag.Phrasef("write %q", trimmed)
	case f.Name == "stageSemanticId":
		return neverSemantics(f, text)
	case f.Name == "stageId" || f.Name == "previousStageId":
		return neverStage(typ, f, text)
	case f.Type == "boolean":
		return inportal.NeverFlag(f.Name, text)
	case f.Type == "crm_status":
		return neverStatus(f, text)
	case f.Type == "crm_currency":
		return neverCurrency(f, text)
	}
	return why, hint
}

// alwaysInStage: deals and leads have always a stage. Other items have none if their type has no stages.
func alwaysInStage(typ int, f schemas.Field) bool {
	return (typ == schemas.TypeDeal || typ == schemas.TypeLead) && (f.Name == "stageId" || f.Name == "stageSemanticId")
}

// neverSemantics: the state of a stage is one of three letters.
func neverSemantics(f schemas.Field, text string) (why, hint diag.Phrase) {
	if text == "P" || text == "S" || text == "F" {
		return why, hint
	}
	return diag.Phrasef("%s is P, S or F, never %q", f.Name, text), diag.Phrasef("P is in progress, S is won, F is lost")
}

var (
	statusID   = regexp.MustCompile(`^[A-Za-z0-9_|:.-]+$`)
	dealStage  = regexp.MustCompile(`^(C\d+:)?[A-Z0-9_]+$`)
	plainStage = regexp.MustCompile(`^[A-Z0-9_]+$`)
	itemStage  = regexp.MustCompile(`^DT\d+_\d+:[A-Z0-9_]+$`)
	lostColon  = regexp.MustCompile(`^(C\d+|DT\d+_\d+)[_.-]([A-Z0-9_]+)$`)
	currencyID = regexp.MustCompile(`^[A-Z]{3}$`)
)

// foreignStages are final stages of other types. They are never stages of the type.
var foreignStages = map[int]map[string]string{
	schemas.TypeLead: {"WON": "CONVERTED", "LOSE": "JUNK"},
	schemas.TypeDeal: {"CONVERTED": "WON", "JUNK": "LOSE"},
}

// neverStage: the id of a stage has capitals, and the prefix of its pipeline in some
// types.
func neverStage(typ int, f schemas.Field, text string) (why, hint diag.Phrase) {
	if m := lostColon.FindStringSubmatch(text); m != nil {
		return diag.Phrasef("the pipeline in the id of a stage ends with a colon, and %q has none", text), diag.Phrasef("write %q", m[1]+":"+m[2])
	}
	if ours := foreignStages[typ][text]; ours != "" {
		return diag.Phrasef("%q is never a stage of %s", text, typeName(typ)), diag.Phrasef("write %q", ours)
	}
	form, example := plainStage, "NEW"
	switch {
	case typ == schemas.TypeDeal:
		form = dealStage
	case typ == schemas.TypeSmartInvoice || typ >= schemas.FirstDynamicType:
		form, example = itemStage, "DT"+strconv.Itoa(typ)+"_5:NEW"
	case typ == 0:
		form = statusID
	}
	if form.MatchString(text) {
		return why, hint
	}
	if upper := strings.ToUpper(text); upper != text && form.MatchString(upper) && isASCII(text) {
		return diag.Phrasef("ids of stages have capital letters, never %q", text), diag.Phrasef("write %q", upper)
	}
	return diag.Phrasef("%s is the id of a stage such as %s, never %q", f.Name, example, text),
		diag.Phrasef("crm.status.list shows the ids of the stages")
}

// neverStatus: the id of an entry of a directory has no letters of other alphabets and
// no spaces.
func neverStatus(f schemas.Field, text string) (why, hint diag.Phrase) {
	if statusID.MatchString(text) {
		return why, hint
	}
	return diag.Phrasef("%s is the id of an entry, never its name %q", f.Name, text), diag.Phrasef("crm.status.list shows the ids of the entries")
}

// oldCurrencies are codes that people still write, with the current ones.
var oldCurrencies = map[string]string{"RUR": "RUB", "BYR": "BYN"}

// neverCurrency: a currency is its code of three letters.
func neverCurrency(f schemas.Field, text string) (why, hint diag.Phrase) {
	if currencyID.MatchString(text) {
		if now := oldCurrencies[text]; now != "" {
			return diag.Phrasef("%s is no longer a currency", text), diag.Phrasef("write %q", now)
		}
		if _, err := currency.ParseISO(text); err != nil {
			return diag.Phrasef("%s is a code of ISO 4217, never %q", f.Name, text), diag.Phrasef("RUB, USD, EUR")
		}
		return why, hint
	}
	why = diag.Phrasef("%s is a code of three capital letters, never %q", f.Name, text)
	if upper := strings.ToUpper(text); currencyID.MatchString(upper) {
		return why, diag.Phrasef("write %q", upper)
	}
	return why, diag.Phrasef("RUB, USD, EUR")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// wrongCustomName says why a name is not that of a custom field in items of a type, and
// how the portal writes it. The reason is empty when the name is possible.
func wrongCustomName(typ int, name string) (why, hint diag.Phrase) {
	right := schemas.CustomFieldName(typ, name, false)
	switch {
	case right == "":
		return why, hint
	case typ < schemas.FirstDynamicType:
		return diag.Phrasef("the name of a custom field of %s keeps the underscore: ufCrm_…, never %s", typeName(typ), name), diag.Phrasef("write %s", right)
	}
	return diag.Phrasef("the name of a custom field of %s has the number of its type: ufCrm5_…, never %s", typeName(typ), name), hint
}
