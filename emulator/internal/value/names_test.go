package value

import "testing"

// TestNames holds the documented table of names.
// https://apidocs.bitrix24.com/api-reference/crm/universal/index.html
func TestNames(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		"UF_CRM_3_DIGIT":        "ufCrm3Digit",
		"UF_CRM_3_1747309727":   "ufCrm3_1747309727",
		"UF_CRM_3_DIGIT10":      "ufCrm_3_DIGIT10",
		"UF_CRM_3_DIGIT_10":     "ufCrm_3_DIGIT_10",
		"UF_CRM_1747309879":     "ufCrm_1747309879",
		"UF_CRM_10_5186744711":  "ufCrm10_5186744711",
		"UF_CRM_5_INVOICE_ID":   "ufCrm5InvoiceId",
		"ASSIGNED_BY_ID":        "assignedById",
		"IS_MANUAL_OPPORTUNITY": "isManualOpportunity",
		"PARENT_ID_1220":        "parentId1220",
		"BEGINDATE":             "begindate",
	} {
		if got := ItemName(stored); got != want {
			t.Errorf("%s is %s, want %s", stored, got, want)
		}
	}
}

func TestNumericPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "0", "abc": "0", "12abc": "12", " 1.50x": "1.50", "-3": "-3", "+4": "4", ".5": "0.5", "5.": "5", "1e3": "1e3", "1e": "1",
		"1e+3": "1e3", "1e-3z": "1e-3", "--1": "0", "-": "0", "1.2.3": "1.2",
	} {
		if got := numericPrefix(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
