package emulator

import (
	"testing"

	"github.com/b24rules/b24rules/emulator/internal/model"
)

func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := model.NewFieldSet([]*model.Field{
		{Name: "UF_CRM_3_A_B", User: &model.CustomField{}},
		{Name: "UF_CRM_3_A__B", User: &model.CustomField{}},
	})
	if first, second := s.All[0].Camel, s.All[1].Camel; first != "ufCrm3AB" || second != "UF_CRM_3_A__B" {
		t.Errorf("names %s and %s: a name that is taken leaves the stored one", first, second)
	}
}
