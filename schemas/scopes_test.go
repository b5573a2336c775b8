package schemas_test

import (
	"testing"

	"github.com/b24rules/b24rules/schemas"
)

// TestMethodScope: the permission of each documented method is known, and methods whose
// names start alike may need different ones.
func TestMethodScope(t *testing.T) {
	for _, m := range schemas.Methods() {
		if _, ok := schemas.MethodScope(m.Name); !ok {
			t.Errorf("nothing is known about the permission of %s", m.Name)
		}
	}
	for method, want := range map[string]string{
		"crm.item.list": "crm", "lists.element.get": "lists", "user.get": "user", "user.admin": "", "user.userfield.list": "user.userfield",
		"task.item.list": "task", "tasks.task.add": "task", "calendar.event.add": "calendar", "im.notify": "im", "imbot.message.add": "imbot",
		"bizproc.workflow.start": "bizproc", "telephony.externalCall.register": "telephony", "voximplant.line.get": "telephony",
		"voximplant.infocall.startwithtext": "call", "catalog.product.list": "catalog", "sale.order.list": "sale", "sale.paysystem.add": "pay_system",
		"sale.cashbox.add": "cashbox", "sale.delivery.request.update": "delivery", "imconnector.register": "imopenlines",
		"imconnector.chat.name.set": "imconnector", "disk.file.get": "disk", "log.blogpost.add": "log", "profile": "", "event.bind": "",
		"userfieldtype.add": "placement", "humanresources.hcmlink.company.list": "humanresources.hcmlink", "department.get": "department",
		"documentgenerator.document.add": "documentgenerator", "crm.documentgenerator.document.add": "crm", "CRM.Deal.List": "crm",
	} {
		if got, ok := schemas.MethodScope(method); got != want || !ok {
			t.Errorf("%s needs %q, want %q", method, got, want)
		}
	}
	if scope, ok := schemas.MethodScope("acme.order.list"); ok {
		t.Errorf("a method of another vendor needs %q", scope)
	}
}

// TestEventScope: each event needs a permission, except those about the application itself.
func TestEventScope(t *testing.T) {
	for _, e := range schemas.Events() {
		if schemas.EventScope(e.Code) == "" && !e.AppOnly {
			t.Errorf("nothing is known about the permission of %s", e.Code)
		}
	}
	for code, want := range map[string]string{
		"ONCRMDEALUPDATE": "crm", "ONTASKUPDATE": "task", "ONCALENDARENTRYADD": "calendar", "ONVOXIMPLANTCALLEND": "telephony", "ONUSERADD": "user",
		"ONIMBOTMESSAGEADD": "imbot", "ONIMCONNECTORMESSAGEADD": "imconnector", "CATALOG.PRODUCT.ON.ADD": "catalog", "ONAPPINSTALL": "",
	} {
		if got := schemas.EventScope(code); got != want {
			t.Errorf("%s needs %q, want %q", code, got, want)
		}
	}
}

func TestGivesScope(t *testing.T) {
	for _, tt := range []struct {
		given, scope string
		want         bool
	}{
		{"crm", "crm", true},
		{"user_brief", "user", true},
		{"user_basic", "user", true},
		{"telephony", "call", true},
		{"imopenlines", "imconnector", true},
		{"user", "task", false},
		{"task", "tasks", false},
	} {
		if got := schemas.GivesScope(tt.given, tt.scope); got != tt.want {
			t.Errorf("%s gives %s: %t", tt.given, tt.scope, got)
		}
	}
}
