package bitrix_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/php"
)

// recorded is an answer as the documentation prints it.
func recorded(t *testing.T, text string) methodFunc {
	t.Helper()
	v, err := php.DecodeJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func(*php.Array) reply { return reply{result: v} }
}

const listFields = `{
	"NAME":{"FIELD_ID":"NAME","SORT":10,"NAME":"Название","IS_REQUIRED":"Y","MULTIPLE":"N","DEFAULT_VALUE":"","TYPE":"NAME","PROPERTY_TYPE":false,"PROPERTY_USER_TYPE":false,"SETTINGS":{"SHOW_ADD_FORM":"Y"}},
	"PROPERTY_101":{"FIELD_ID":"PROPERTY_101","SORT":20,"NAME":"Deal","IS_REQUIRED":"N","MULTIPLE":"N","TYPE":"N","PROPERTY_TYPE":"N","PROPERTY_USER_TYPE":false,"CODE":"DEAL","ID":"101","SETTINGS":[]},
	"PROPERTY_102":{"FIELD_ID":"PROPERTY_102","SORT":30,"NAME":"Tags","MULTIPLE":"Y","TYPE":"L","PROPERTY_TYPE":"L","CODE":"TAGS","ID":"102","DISPLAY_VALUES_FORM":{"1669":"Planning","1670":"Done"}},
	"PROPERTY_103":{"FIELD_ID":"PROPERTY_103","NAME":"Note","TYPE":"S:Date","CODE":null,"ID":"103"},
	"PROPERTY_104":{"FIELD_ID":"PROPERTY_104","NAME":"note","TYPE":"S","CODE":"","ID":104}}`

func TestListFields(t *testing.T) {
	c := newClient(t, &portal{methods: map[string]methodFunc{"lists.field.get": recorded(t, listFields)}})
	l, err := c.ListFields(t.Context(), "lists", 47)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"DEAL": "PROPERTY_101", "deal": "PROPERTY_101", "PROPERTY_101": "PROPERTY_101", "Tags": "PROPERTY_102",
		"NAME": "NAME", "Название": "NAME", "название": "NAME",
	} {
		if f, err := l.Lookup(name); err != nil || f.ID != want {
			t.Errorf("%s is %s, %v, want %s", name, f.ID, err, want)
		}
	}
	for _, name := range []string{"", "Note", "SUM"} {
		if f, err := l.Lookup(name); err == nil {
			t.Errorf("%q is %s", name, f.ID)
		}
	}
	tags, _ := l.Lookup("TAGS")
	want := bitrix.ListField{ID: "PROPERTY_102", Code: "TAGS", Name: "Tags", Type: "L", Multiple: true, Enum: map[string]string{"1669": "Planning", "1670": "Done"}}
	if diff := cmp.Diff(want, tags); diff != "" {
		t.Error(diff)
	}
	if name, _ := l.Lookup("NAME"); !name.Required || name.IsProperty() || !tags.IsProperty() {
		t.Errorf("got %+v", name)
	}
	if diff := cmp.Diff([]string{"NAME", "DEAL", "TAGS", "PROPERTY_103", "PROPERTY_104"}, l.Names()); diff != "" {
		t.Error(diff)
	}
	if len(l.All()) != 5 {
		t.Errorf("%d fields", len(l.All()))
	}
}

func TestItemFields(t *testing.T) {
	c := newClient(t, &portal{methods: map[string]methodFunc{"crm.item.fields": recorded(t, `{"fields":{
		"id":{"type":"integer","isRequired":false,"isReadOnly":true,"isImmutable":false,"isMultiple":false,"isDynamic":false,"title":"ID","upperName":"ID"},
		"stageId":{"type":"crm_status","isRequired":false,"isReadOnly":false,"isImmutable":false,"isMultiple":false,"isDynamic":false,"title":"Stage","statusType":"DEAL_STAGE","upperName":"STAGE_ID"},
		"ufCrm5Kind":{"type":"enumeration","isRequired":true,"isReadOnly":false,"isImmutable":true,"isMultiple":true,"isDynamic":true,"items":[{"ID":"81","VALUE":"A"},{"ID":82,"VALUE":"B"}],"settings":[],"title":"Kind","upperName":"UF_CRM_5_KIND"},
		"ufCrm5Sum":{"type":"double","isDynamic":true,"settings":{"PRECISION":2,"SIZE":20},"title":"Sum","upperName":"UF_CRM_5_SUM"}}}`)}})
	f, err := c.ItemFields(t.Context(), 1030)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := f.Lookup("UF_CRM_5_KIND")
	want := bitrix.ItemField{
		Name: "ufCrm5Kind", UpperName: "UF_CRM_5_KIND", Title: "Kind", Type: "enumeration",
		Required: true, Immutable: true, Multiple: true, Dynamic: true, Precision: -1, Enum: map[string]string{"81": "A", "82": "B"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Error(diff)
	}
	if s, ok := f.Lookup("stageId"); !ok || s.StatusType != "DEAL_STAGE" || s.ReadOnly {
		t.Errorf("got %+v", s)
	}
	if s, _ := f.Lookup("ufCrm5Sum"); s.Precision != 2 {
		t.Errorf("a double keeps %d digits, want 2", s.Precision)
	}
	if _, ok := f.Lookup("stage"); ok {
		t.Error("stage was found")
	}
	if diff := cmp.Diff([]string{"id", "stageId", "ufCrm5Kind", "ufCrm5Sum"}, f.Names()); diff != "" {
		t.Error(diff)
	}
}

// TestMetadataIsShared: one of many callers asks, again when the answer is old,
// and another one when the first gives up.
func TestMetadataIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &portal{
			methods: map[string]methodFunc{"lists.field.get": recorded(t, listFields)},
			before:  func(http.ResponseWriter, string) bool { time.Sleep(time.Second); return false },
		}
		c := newClient(t, p)
		defer c.Close()
		ask := func(ctx context.Context) error {
			_, err := c.ListFields(ctx, "lists", 47)
			return err
		}
		var wg sync.WaitGroup
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wg.Go(func() {
			if err := ask(impatient); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient caller: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			wg.Go(func() {
				if err := ask(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(p.asked()); n != 2 {
			t.Errorf("%d requests, want one for each who led", n)
		}
		time.Sleep(4 * time.Minute)
		_ = ask(t.Context())
		if n := len(p.asked()); n != 2 {
			t.Errorf("asked again after 4 minutes")
		}
		time.Sleep(2 * time.Minute)
		_ = ask(t.Context())
		if n := len(p.asked()); n != 3 {
			t.Errorf("not asked again after 6 minutes")
		}
	})
}

func TestMetadataFailureIsForgotten(t *testing.T) {
	fail := true
	p := &portal{methods: map[string]methodFunc{"lists.field.get": func(p *php.Array) reply {
		if fail {
			return reply{code: "ERROR_IBLOCK_NOT_FOUND", text: "Iblock not found"}
		}
		return recorded(t, listFields)(p)
	}}}
	c := newClient(t, p)
	if _, err := c.ListFields(t.Context(), "lists", 47); !bitrix.IsCode(err, "error_iblock_not_found") || bitrix.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	fail = false
	if _, err := c.ListFields(t.Context(), "lists", 47); err != nil {
		t.Error(err)
	}
}

// TestRefusedFieldIsLookedUpAgain: when the portal refuses what was made from an
// old description, another attempt gets a new one; when it refuses what was made
// from that, no attempt helps.
func TestRefusedFieldIsLookedUpAgain(t *testing.T) {
	for _, tt := range []struct {
		describe string // the method
		fields   methodFunc
		get      func(ctx context.Context, c *bitrix.Client) error
		call     bitrix.Call
	}{
		{"lists.field.get", recorded(t, listFields), func(ctx context.Context, c *bitrix.Client) error {
			_, err := c.ListFields(ctx, "lists", 47)
			return err
		}, bitrix.Call{
			Method: "lists.element.get", Params: map[string]any{"IBLOCK_TYPE_ID": "lists", "IBLOCK_ID": 47, "FILTER": map[string]any{"=PROPERTY_101": 1}},
		}},
		{"crm.item.fields", recorded(t, `{"fields":{"title":{"type":"string"}}}`), func(ctx context.Context, c *bitrix.Client) error { _, err := c.ItemFields(ctx, 1030); return err }, bitrix.Call{
			Method: "crm.item.update", Write: true, Params: map[string]any{"entityTypeId": 1030, "id": 1, "fields": map[string]any{"ufGone": 1}},
		}},
	} {
		t.Run(tt.describe, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				p := &portal{methods: map[string]methodFunc{
					tt.describe: func(p *php.Array) reply { asked++; return tt.fields(p) },
					tt.call.Method: func(*php.Array) reply {
						return reply{code: "ERROR_ARGUMENT", text: "Filter field not allowed: PROPERTY_101"}
					},
				}}
				c := newClient(t, p)
				defer c.Close()
				attempt := func() bool {
					if err := tt.get(t.Context(), c); err != nil {
						t.Fatal(err)
					}
					var e *bitrix.Error
					if err := c.Do(t.Context(), tt.call)[0].Err; !errors.As(err, &e) || e.Outcome != bitrix.Executed {
						t.Fatalf("got %v", err)
					}
					return e.Temporary()
				}
				if attempt() {
					t.Error("refused with a new description: want no other attempt")
				}
				time.Sleep(time.Minute)
				if !attempt() {
					t.Error("refused with an old description: want another attempt")
				}
				if attempt() || asked != 2 {
					t.Errorf("described %d times, want 2, and no third attempt", asked)
				}
			})
		})
	}
}
