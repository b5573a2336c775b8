package testportal

import (
	"slices"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/internal/ruletest/compare"
)

// form is what a value of a field looks like.
type form struct {
	name, example string
	fits          func(text string) bool
}

var (
	formNumber   = &form{"a number", "10.5", isNumber}
	formFlag     = &form{"true or false", "true", isFlag}
	formDate     = &form{"a date", "2026-05-01", compare.IsDate}
	formID       = &form{"an id", "7", isID}
	formMoney    = &form{"money", "300|USD", isMoney}
	formCurrency = &form{"the code of a currency", "USD", isCurrency}
)

// forms are the forms of the types of fields and of properties. Types that are not listed have
// texts, or values that only the portal knows.
var forms = map[string]*form{
	"integer": formNumber, "double": formNumber, "N": formNumber, "N:Sequence": formNumber,
	"boolean": formFlag,
	"date":    formDate, "datetime": formDate, "S:Date": formDate, "S:DateTime": formDate,
	"user": formID, "employee": formID, "S:employee": formID, "crm_category": formID, "crm_company": formID, "crm_contact": formID,
	"crm_deal": formID, "crm_lead": formID, "crm_quote": formID, "crm_entity": formID, "E": formID, "G": formID, "E:EList": formID,
	"money": formMoney, "S:Money": formMoney,
	"crm_currency": formCurrency,
}

// rowForms are the forms of the fields of a product row.
var rowForms = map[string]*form{
	"productId": formID, "price": formNumber, "quantity": formNumber, "discountTypeId": formID, "discountRate": formNumber,
	"discountSum": formNumber, "taxRate": formNumber, "taxIncluded": formFlag, "customized": formFlag, "measureCode": formID, "sort": formNumber,
}

// value reports a value that its field cannot have. The portal would refuse it, or store
// another one, and the test would show something else than it says.
func (c *DataChecker) value(known *FieldInfo, f Field) {
	if known.DataType == "crm_multifield" {
		c.multifield(f)
		return
	}
	c.form(f, forms[known.DataType])
}

func (c *DataChecker) form(f Field, want *form) {
	if want == nil {
		return
	}
	several, ok := f.Value.([]any)
	if !ok {
		several = []any{f.Value}
	}
	for _, v := range several {
		if text := compare.Text(v); !compare.Empty(v) && !want.fits(text) {
			c.List.Errorf(f.ValuePos, "invalid-value", "%s takes %s, not %q", f.Name, want.name, text).Hint = "such as " + want.example
		}
	}
}

// multifieldTypes are the kinds of entries of fm.
var multifieldTypes = []string{"PHONE", "EMAIL", "WEB", "IM", "LINK"}

// multifield checks phones, e-mail addresses and the like.
func (c *DataChecker) multifield(f Field) {
	entries, ok := f.Value.([]any)
	if !ok && !compare.Empty(f.Value) {
		c.List.Errorf(f.ValuePos, "wrong-type", "%s takes a list of phones, e-mail addresses and the like", f.Name).Hint = "fm: [{typeId: PHONE, valueType: WORK, value: \"+79000000001\"}]"
	}
	for _, e := range entries {
		if typ := compare.Text(compare.Object(e)["typeId"]); !slices.Contains(multifieldTypes, typ) {
			c.List.Errorf(f.ValuePos, "invalid-value", "unknown typeId %q of an entry of %s", typ, f.Name).Hint = Hint(typ, multifieldTypes)
		}
	}
}

func isNumber(text string) bool {
	_, ok := compare.Number(text)
	return ok
}

func isFlag(text string) bool {
	_, ok := compare.Flag(text)
	return ok
}

func isID(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n >= 0
}

func isMoney(text string) bool {
	amount, currency, _ := strings.Cut(text, "|")
	return isNumber(amount) && (currency == "" || isCurrency(currency))
}

func isCurrency(text string) bool {
	return len(text) == 3 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
