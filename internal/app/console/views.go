package console

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine/describe"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/journal"
)

//go:embed templates
var templateFiles embed.FS

// views are the templates in each language.
type views struct {
	assets map[string]asset
	pages  [len(languages)]map[string]*template.Template
}

// templateNames are the pages; each is a file of templates.
var templateNames = []string{"portals", "portal", "runs", "causes", "days", "confirm", "run", "events", "event", "why", "plan", "rules", "rule", "audit", "keys", "login", "again", "problem"}

func newViews(assets map[string]asset) *views {
	v := &views{assets: assets}
	for lang := range languages {
		v.pages[lang] = map[string]*template.Template{}
		base := template.Must(template.New("frame").Option("missingkey=error").Funcs(functions(lang)).ParseFS(templateFiles, "templates/frame.html", "templates/parts.html"))
		for _, name := range templateNames {
			v.pages[lang][name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+name+".html"))
		}
	}
	return v
}

// functions are those of the templates.
func functions(lang int) template.FuncMap {
	return template.FuncMap{
		"t":     func(key string, args ...any) string { return text(lang, key, args...) },
		"n":     func(key string, n int) string { return counted(lang, key, n) },
		"num":   func(n int) string { return number(lang, n) },
		"day":   func(at time.Time) string { return day(lang, at) },
		"clock": func(at time.Time) template.HTML { return timeTag(at, "15:04:05") },
		"milli": func(at time.Time) template.HTML { return timeTag(at, "15:04:05.000") },
		"when":  func(at time.Time) template.HTML { return timeTag(at, "2006-01-02 15:04:05") },
		"recent": func(at, now time.Time) template.HTML {
			if at.Format(time.DateOnly) == now.In(at.Location()).Format(time.DateOnly) {
				return timeTag(at, "15:04:05")
			}
			return timeTag(at, "2006-01-02 15:04")
		},
		"span":   func(d time.Duration) string { return span(lang, d) },
		"spanOf": func(d describe.Duration) string { return span(lang, time.Duration(d)) },
		// query is the part of an address after the question mark. A text would be escaped once more.
		"query": func(pairs ...string) template.URL {
			v := url.Values{}
			for i := 0; i+1 < len(pairs); i += 2 {
				if pairs[i+1] != "" {
					v.Set(pairs[i], pairs[i+1])
				}
			}
			return template.URL(v.Encode()) //nolint:gosec // it is escaped
		},
		"path":  url.PathEscape,
		"value": fieldText,
		"dict": func(pairs ...any) map[string]any {
			out := map[string]any{}
			for i := 0; i+1 < len(pairs); i += 2 {
				out[pairs[i].(string)] = pairs[i+1]
			}
			return out
		},
		"forms": func(key string) template.HTMLAttr {
			var b strings.Builder
			for i, form := range strings.Split(plurals[key][lang], "|") {
				fmt.Fprintf(&b, ` data-%s="%s"`, pluralNames[lang][i], template.HTMLEscapeString(form))
			}
			return template.HTMLAttr(strings.TrimSpace(b.String())) //nolint:gosec // our own texts, escaped
		},
		"said": func(values []string) string {
			out := slices.Clone(values)
			if lang == russian { // NAME is VALUE
				for i := range out {
					out[i] = strings.Replace(out[i], " is ", " = ", 1)
				}
			}
			return strings.Join(out, ", ")
		},
		"join": func(list []string) string { return strings.Join(list, ", ") },
		"capital": func(s string) string {
			first, size := utf8.DecodeRuneInString(s)
			return string(unicode.ToUpper(first)) + s[size:]
		},
		"short": func(s string) string { return s[:min(len(s), 8)] },
	}
}

// fieldText is the value of a field in a diff.
func fieldText(v any) string {
	if text := valueText(v); text != "" && text != "null" {
		return cutText(text, 500)
	}
	return "∅"
}

// timeTag is a time in its zone, with UTC for programs.
func timeTag(at time.Time, layout string) template.HTML {
	if at.IsZero() {
		return "–"
	}
	return template.HTML(`<time datetime="` + at.UTC().Format(time.RFC3339Nano) + `">` + at.Format(layout) + `</time>`) //nolint:gosec // digits only
}

// frame is what all pages have around their content.
type frame struct {
	Lang, Other   string
	OtherName     string
	OtherURL      string
	Title         string
	Section       string
	User          string
	Role          string
	Open          bool // without users
	Parked        int
	CSS, JS, Icon string
	Path          string // with the query, for JSON
	HasJSON       bool
	Command       string
	Now           time.Time
	Zone          string
	Live          bool
	Mark          string // of what the page shows
	// Away says that the database cannot be read. IsSeen says that the page is an earlier one.
	Away, IsSeen bool
	Operator     bool
	Data         any
}

// render writes a page as HTML. An open page that has the same already gets nothing.
func (c *Console) render(q *request, p *page, status int) {
	m := p.made
	if m == nil {
		var err error
		if m, err = c.make(q, p); err != nil {
			c.failed(q, err)
			return
		}
	}
	if q.isKept(p, status) && len(m.body) <= mostSeenBytes {
		kept := *p
		kept.made = nil
		c.seen.keep(seenPage{config: c.Config(), page: &kept, parked: m.parked}, q)
	}
	if q.isLive() {
		h := q.w.Header()
		h.Set("X-Digest", m.digest)
		h.Set("X-Mark", m.mark)
		if q.Header.Get("X-Have") == m.digest {
			h.Set("X-As-Of", asOf(m.at.In(p.timeZone())))
			q.w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	q.send(m.body, status)
}

// make makes the HTML of a page.
func (c *Console) make(q *request, p *page) (*made, error) {
	f := c.frame(q, p, p.code(), q.now)
	f.Away = p.isAway
	if q.user.Name != "" {
		f.Parked = c.parked(q)
	}
	body, err := c.html(q, p, f)
	if err != nil {
		return nil, err
	}
	content, _, _ := bytes.Cut(body, []byte("<footer>"))
	sum := sha256.Sum256(content)
	return &made{body, hex.EncodeToString(sum[:8]), f.Parked, q.mark, q.now}, nil
}

// failed answers that a page cannot be made, which is a mistake of ours.
func (c *Console) failed(q *request, err error) {
	c.Log.Error("cannot make a page", "path", q.URL.Path, "error", err)
	http.Error(q.w, "the page cannot be made, the log says why", http.StatusInternalServerError)
}

// code is the status of the answer.
func (p *page) code() int { return cmp.Or(p.status, http.StatusOK) }

func (p *page) timeZone() *time.Location { return cmp.Or(p.zone, time.Local) }

// asOf is a time with its zone.
func asOf(at time.Time) string { return at.Format("15:04:05") + " " + report.ZoneName(at) }

// showSeen answers with the page as its reader has seen it last, which says so. It returns false if
// there is none.
func (c *Console) showSeen(q *request) bool {
	old, ok := c.seen.find(q, c.Config())
	if !ok || q.asJSON() || q.isLive() || q.Method != http.MethodGet {
		return false
	}
	q.user = old.user
	f := c.frame(q, old.page, http.StatusServiceUnavailable, old.at)
	f.Away, f.IsSeen, f.Live, f.Parked = true, true, true, old.parked
	body, err := c.html(q, old.page, f)
	if err != nil {
		c.failed(q, err)
		return true
	}
	q.send(body, http.StatusServiceUnavailable)
	return true
}

// frame returns what a page has around its content. at is when the content was read.
func (c *Console) frame(q *request, p *page, status int, at time.Time) frame {
	f := frame{
		Lang: languages[q.lang], Other: languages[1-q.lang], OtherName: languageNames[1-q.lang], Title: p.title, Section: p.section,
		User: q.user.Name, Role: string(q.user.Role), Open: c.Config().Console.Access.Open, Operator: q.user.Operates(),
		CSS: c.views.assets["console.css"].path, JS: c.views.assets["console.js"].path, Icon: c.views.assets["icon.svg"].path,
		Path: q.URL.RequestURI(), HasJSON: p.json != nil && status < 400, Command: p.command, Data: p.data,
		Mark: q.mark,
		Live: (status == http.StatusOK || p.isAway) && q.user.Name != "" && p.section != "login" && p.template != "plan" && p.template != "confirm",
	}
	f.Now = at.In(p.timeZone())
	f.Zone = report.ZoneName(f.Now)
	v := q.URL.Query()
	v.Set("lang", f.Other)
	f.OtherURL = q.URL.EscapedPath() + "?" + v.Encode()
	return f
}

// html is a page with its frame.
func (c *Console) html(q *request, p *page, f frame) ([]byte, error) {
	var out bytes.Buffer
	err := c.views.pages[q.lang][p.template].ExecuteTemplate(&out, "frame", f)
	return out.Bytes(), err
}

// send writes HTML.
func (q *request) send(body []byte, status int) {
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.Header().Set("Content-Language", languages[q.lang])
	q.w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(body)
	}
}

// backlogs counts the unfinished runs that the user sees, once for each request.
func (c *Console) backlogs(q *request) ([]journal.Backlog, error) {
	if q.open != nil {
		return q.open, nil
	}
	all, err := c.counts.read(q.Context(), c.Queue, q.mark)
	if err != nil {
		return nil, err
	}
	q.open = slices.DeleteFunc(slices.Clone(all), func(b journal.Backlog) bool { return !q.user.Sees(b.Portal) })
	return q.open, nil
}

// parked counts the dead letters that the user sees. A page without the number is better than
// none.
func (c *Console) parked(q *request) int {
	all, err := c.backlogs(q)
	if err != nil {
		return 0
	}
	n := 0
	for _, b := range all {
		if b.State == journal.Parked {
			n += b.Runs
		}
	}
	return n
}

// language chooses the language of a request: what the person has chosen, then what the browser
// prefers. ?lang= is a choice, which a cookie keeps.
func language(w http.ResponseWriter, r *http.Request) int {
	if i := slices.Index(languages[:], r.URL.Query().Get("lang")); i >= 0 {
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: languages[i], Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return i
	}
	if cookie, err := r.Cookie("lang"); err == nil {
		if i := slices.Index(languages[:], cookie.Value); i >= 0 {
			return i
		}
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if i := slices.Index(languages[:], tag); i >= 0 {
			return i
		}
	}
	return 0
}

// recent is a time without its day, if that is today.
func (q *request) recent(at time.Time) string {
	if at.Format(time.DateOnly) == q.now.In(at.Location()).Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format("2006-01-02 15:04")
}

func (q *request) t(key string, args ...any) string { return text(q.lang, key, args...) }
func (q *request) n(key string, n int) string       { return counted(q.lang, key, n) }

// span is a duration for people.
func span(lang int, d time.Duration) string {
	switch {
	case d <= 0:
		return text(lang, "span.s", "0")
	case d < time.Millisecond:
		return text(lang, "span.ms", fmt.Sprintf("%.1f", float64(d.Microseconds())/1000))
	case d < time.Second:
		return text(lang, "span.ms", strconv.FormatInt(d.Milliseconds(), 10))
	case d < 10*time.Second:
		return text(lang, "span.s", strconv.FormatFloat(d.Seconds(), 'f', 1, 64))
	case d < 2*time.Minute:
		return text(lang, "span.s", strconv.Itoa(int(d.Seconds())))
	case d < 2*time.Hour:
		return text(lang, "span.min", strconv.Itoa(int(d.Minutes())))
	case d < 48*time.Hour:
		return text(lang, "span.h", strconv.Itoa(int(d.Hours())))
	}
	return text(lang, "span.d", strconv.Itoa(int(d.Hours()/24)))
}

// day is a date with the day of the week.
func day(lang int, at time.Time) string {
	if lang == russian {
		return russianDays[at.Weekday()] + ", " + strconv.Itoa(at.Day()) + " " + russianMonths[at.Month()-1]
	}
	return at.Format("Monday 2 January")
}

// number writes a number with separators.
func number(lang, n int) string {
	text := strconv.Itoa(n)
	separator := ","
	if lang == russian {
		separator = "\u00a0"
	}
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + separator + text[i:]
	}
	return text
}
