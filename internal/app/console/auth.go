package console

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/audit"
	"github.com/b24rules/b24rules/internal/queue"
)

// The names of the cookies of a session. A browser accepts the first only over TLS, for the whole
// host and from no other name of the domain.
const (
	secureCookie = "__Host-b24rules"
	plainCookie  = "b24rules"
)

// isSecure reports whether people reach the console over TLS.
func (c *Console) isSecure() bool { return strings.HasPrefix(c.Config().Console.URL, "https:") }

func (c *Console) cookieName() string {
	if c.isSecure() {
		return secureCookie
	}
	return plainCookie
}

func (c *Console) setCookie(w http.ResponseWriter, token string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: c.cookieName(), Value: token, Path: "/", MaxAge: age, HttpOnly: true, Secure: c.isSecure(),
		SameSite: http.SameSiteLaxMode, // a link in an alert must arrive signed in
	})
}

// isLive reports whether an open page has sent the request, and not a person.
func (q *request) isLive() bool { return q.Header.Get(liveHeader) != "" || q.URL.Path == "/live" }

// identify finds out who has sent a request. ok is false if that is not known.
func (c *Console) identify(q *request) (ok bool, err error) {
	rules := c.Config().Console.Access
	q.via = audit.ViaConsole
	if token, found := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer "); found {
		q.via = audit.ViaToken
		q.user, ok = rules.Token(token)
		return ok, nil
	}
	if q.user, ok = rules.FromProxy(q.Request); ok {
		q.holder = "user " + q.user.Name
		return true, nil
	}
	if rules.Open {
		q.user, q.holder = access.User{Name: "local", Role: access.Operator}, "local"
		return true, nil
	}
	cookie, err := q.Cookie(c.cookieName())
	if err != nil {
		return false, nil
	}
	q.holder = "session " + cookie.Value
	name, ok, err := c.sessions.Who(q.Context(), cookie.Value, time.Now(), !q.isLive())
	if err != nil {
		return false, err
	}
	if !ok {
		c.seen.forget(q.holder)
		return false, nil
	}
	q.user, ok = rules.User(name) // the configuration may have lost the user since
	return ok, nil
}

// askToSignIn answers a request without a user: the page of the sign-in leads back. What was
// typed into a form is not lost, because that page sends it again.
func (c *Console) askToSignIn(q *request) (*page, error) {
	if q.asJSON() || strings.HasPrefix(q.Header.Get("Authorization"), "Bearer ") || q.isLive() {
		return nil, &problem{status: http.StatusUnauthorized, key: "problem.login"}
	}
	if q.Method == http.MethodPost {
		if err := q.ParseForm(); err != nil {
			return nil, &problem{status: http.StatusBadRequest, key: "problem.form"}
		}
		p := c.signInPage(q, q.URL.RequestURI(), "")
		p.status = http.StatusUnauthorized
		p.data = p.data.(loginData).with(q.PostForm)
		return p, nil
	}
	return &page{redirect: "/login?next=" + url.QueryEscape(q.URL.RequestURI())}, nil
}

// loginData is what the page of the sign-in shows.
type loginData struct {
	Next string
	// Form is a form that was sent after the session had ended: it is sent again.
	Form  [][2]string
	Error string
	Name  string
}

func (d loginData) with(form url.Values) loginData {
	for name, values := range form {
		for _, v := range values {
			d.Form = append(d.Form, [2]string{name, v})
		}
	}
	return d
}

// kept is the prefix of the fields of a form that waits for the sign-in.
const kept = "kept."

// localPath returns a path of this console, / for every other address.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\\r\n") {
		return "/"
	}
	return u.RequestURI()
}

func (c *Console) loginPage(q *request) (*page, error) {
	if ok, err := c.identify(q); err == nil && ok {
		return &page{redirect: localPath(q.FormValue("next"))}, nil
	}
	return c.signInPage(q, localPath(q.FormValue("next")), ""), nil
}

func (c *Console) signInPage(q *request, next, failure string) *page {
	return &page{
		template: "login", title: q.t("login.title"), section: "login",
		data: loginData{Next: next, Error: failure, Name: q.PostFormValue("name")},
	}
}

// mostName bounds a name: strangers choose it.
const mostName = 200

func (c *Console) signIn(q *request) (*page, error) {
	if err := q.ParseForm(); err != nil {
		return nil, &problem{status: http.StatusBadRequest, key: "problem.form"}
	}
	rules := c.Config().Console.Access
	name, password, next := q.PostFormValue("name"), q.PostFormValue("password"), localPath(q.PostFormValue("next"))
	if len(name) > mostName || len(password) > 4096 {
		name = name[:min(len(name), mostName)]
		password = ""
	}
	address := rules.Address(q.Request)
	if wait, ok := c.limiter.Allow(name, address, q.now); !ok {
		minutes := int(math.Ceil(wait.Minutes()))
		p := c.signInPage(q, next, q.t("login.wait", q.n("minutes", minutes)))
		p.status = http.StatusTooManyRequests
		q.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		p.data = keepForm(p.data.(loginData), q.PostForm)
		return p, nil
	}
	user, ok := rules.Check(name, password)
	if !ok {
		left := c.limiter.Failed(name, address, q.now)
		if err := c.audit.Add(q.Context(), audit.Entry{Who: name, Via: audit.ViaConsole, Action: audit.Refused, Result: "from " + address}); err != nil {
			return nil, err
		}
		c.Log.Warn("a sign-in to the console was refused", "user", name, "address", address)
		p := c.signInPage(q, next, q.t("login.wrong", q.n("tries", left)))
		p.status = http.StatusUnauthorized
		p.data = keepForm(p.data.(loginData), q.PostForm)
		return p, nil
	}
	c.limiter.Succeeded(name)
	if cookie, err := q.Cookie(c.cookieName()); err == nil { // the session before ends
		if err := c.sessions.End(q.Context(), cookie.Value); err != nil {
			return nil, err
		}
	}
	token, err := c.sessions.Start(q.Context(), user.Name, q.now)
	if err != nil {
		return nil, err
	}
	if err := c.audit.Add(q.Context(), audit.Entry{Who: user.Name, Via: audit.ViaConsole, Action: audit.SignedIn, Result: "from " + address}); err != nil {
		return nil, err
	}
	c.setCookie(q.w, token, int(access.SessionFor.Seconds()))
	if form := keptForm(q.PostForm); len(form) > 0 {
		return &page{template: "again", section: "login", title: q.t("again.title"), data: map[string]any{"Next": next, "Form": loginData{}.with(form).Form}}, nil
	}
	return &page{redirect: next}, nil
}

// keptForm returns the fields of a form that waits for the sign-in.
func keptForm(form url.Values) url.Values {
	out := url.Values{}
	for name, values := range form {
		if own, ok := strings.CutPrefix(name, kept); ok {
			out[own] = values
		}
	}
	return out
}

func keepForm(d loginData, form url.Values) loginData { return d.with(keptForm(form)) }

func (c *Console) logout(q *request) (*page, error) {
	if cookie, err := q.Cookie(c.cookieName()); err == nil {
		if err := c.sessions.End(q.Context(), cookie.Value); err != nil {
			return nil, err
		}
	}
	c.seen.forget(q.holder)
	c.setCookie(q.w, "", -1)
	if err := c.note(q.Context(), q, audit.Entry{Action: audit.SignedOut}); err != nil {
		return nil, err
	}
	return &page{redirect: "/login"}, nil
}

// note stores what the user did.
func (c *Console) note(ctx context.Context, q *request, e audit.Entry) error {
	return c.audit.Add(ctx, q.by(e))
}

// noted stores it in the transaction of the act.
func (q *request) noted(e audit.Entry) queue.Also { return audit.Counting(q.by(e)) }

func (q *request) by(e audit.Entry) audit.Entry {
	e.Who, e.Via = q.user.Name, q.via
	return e
}
