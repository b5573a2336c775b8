package emulator

import "testing"

func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := NewFieldSet([]*Field{
		{Name: "UF_CRM_3_A_B", User: &CustomField{}},
		{Name: "UF_CRM_3_A__B", User: &CustomField{}},
	})
	if first, second := s.All[0].Camel, s.All[1].Camel; first != "ufCrm3AB" || second != "UF_CRM_3_A__B" {
		t.Errorf("names %s and %s: a name that is taken leaves the stored one", first, second)
	}
}
