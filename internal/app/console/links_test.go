package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/internal/app/demo"
)

// TestLinks follows all links from the page of portals on. Each leads to a page, and that page has the
// filters of the link.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("Roof")
	run := w.fail("Gutter")
	if err := w.h.Service.Queue().Push(t.Context(), contactEvent(), nil); err != nil {
		t.Fatal(err)
	}
	c := w.client()
	entity := w.run(run).Entity
	start := []string{"/portals", "/portals/nope", "/runs/4711", "/rules/nope", "/why?of=" + entity, "/plan?entity=" + entity + "&version=disk"}
	from := map[string]string{}
	for _, address := range start {
		from[address] = "the test"
	}
	filtered := 0
	for queue := start; len(queue) > 0; queue = queue[1:] {
		address := queue[0]
		a := c.get(address)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != http.StatusOK && a.status != http.StatusSeeOther && !strings.HasSuffix(u.Path, "/nope") && u.Path != "/runs/4711" {
			t.Errorf("%s has a link to %s, which answers %d", from[address], address, a.status)
		}
		for _, field := range []string{"portal", "entity", "rule", "q"} {
			value := u.Query().Get(field)
			isShown := strings.Contains(a.body, `name="`+field+`" list="names" value="`+value+`"`) || strings.Contains(a.body, `name="`+field+`" value="`+html.EscapeString(value)+`"`) || strings.Contains(a.body, "<option selected>"+value+"<") || strings.Contains(a.body, `value="`+value+`" selected`)
			if value != "" && (u.Path == "/runs" || u.Path == "/events" || u.Path == "/plan") && !isShown {
				t.Errorf("%s has a link to %s, whose form has no %s %s", from[address], address, field, value)
			}
		}
		for key := range u.Query() {
			if strings.ContainsAny(key, "=&") {
				t.Errorf("%s has the link %s", from[address], address)
			}
			filtered++
		}
		for _, m := range aLink.FindAllStringSubmatch(a.body, -1) {
			link := html.UnescapeString(m[1])
			if strings.HasPrefix(link, "/static/") || strings.Contains(link, "lang=") || from[link] != "" {
				continue
			}
			from[link] = address
			queue = append(queue, link)
		}
	}
	for _, must := range []string{"/portals/" + demo.PortalName, fmt.Sprintf("/runs/%d", run), "/events/1", "/rules/share", "/rules/share?part=source", "/runs?group=day", "/plan?entity=" + url.QueryEscape(entity) + "&portal=demo&rule=share", "/runs?group=day&portal=demo", "/keys"} {
		if from[must] == "" {
			t.Errorf("no link leads to %s", must)
		}
	}
	if filtered < 20 {
		t.Errorf("%d links with filters", filtered)
	}
}
