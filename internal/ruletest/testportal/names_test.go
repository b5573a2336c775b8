package testportal

import "testing"

func TestStoredName(t *testing.T) {
	for name, want := range map[string]string{
		"ufCrm5Total": "UF_CRM_5_TOTAL", "ufCrm5InvoiceId": "UF_CRM_5_INVOICE_ID", "ufCrm_5_D10": "UF_CRM_5_D10",
		"UF_CRM_REGION": "UF_CRM_REGION", "ufCrm12": "UF_CRM_12", "ufCrm5_1721": "UF_CRM_5_1721",
	} {
		if got := StoredName(name); got != want {
			t.Errorf("%s is stored as %s, want %s", name, got, want)
		}
	}
}
