package emulator

import "testing"

func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := newFieldSet([]*field{
		{name: "UF_CRM_3_A_B", user: &customField{}},
		{name: "UF_CRM_3_A__B", user: &customField{}},
	})
	if first, second := s.all[0].camel, s.all[1].camel; first != "ufCrm3AB" || second != "UF_CRM_3_A__B" {
		t.Errorf("names %s and %s: a name that is taken leaves the stored one", first, second)
	}
}
