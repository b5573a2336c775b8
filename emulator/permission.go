package emulator

import (
	"net/http"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// permit checks what is known before a command runs.
func (s *server) permit(req *exchange, m *Method) *Error {
	if m.App && !req.App {
		return Refusal("WRONG_AUTH_TYPE")
	}
	p := s.p
	if !p.options.Allows(m.Scope) {
		token := "webhook token"
		if req.App {
			token = "access token"
		}
		return FailStatus(http.StatusUnauthorized, "insufficient_scope", "The request requires higher privileges than provided by the "+token)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limits.Blocked(OperatingKey{Credential: req.CredKey, Method: m.Name}, time.Now()) {
		return Refusal("OPERATION_TIME_LIMIT")
	}
	return nil
}

// authorize checks the secret of the inbound webhook or the application's
// token, and takes the token and the source key out of the parameters.
func (s *server) authorize(req *exchange) *Error {
	if v, ok := req.Params.Get("auth_connector"); ok {
		req.Connector = value.Text(v)
		req.Params.Delete("auth_connector")
	}
	if req.Connector != "" && !s.p.options.Feature(FeatureAuthConnector) {
		return NoLicense("auth_connector")
	}
	p := s.p
	if req.Path.Secret != "" {
		if req.Path.User != p.user.IDText() || !SameSecret(req.Path.Secret, p.cfg.Secret) {
			return Refusal("INVALID_CREDENTIALS")
		}
		req.CredKey, req.User = "webhook", p.user.ID
		req.By = Origin{User: req.User, Hops: FirstHops}
		return nil
	}
	token := req.Bearer
	for _, name := range []string{"auth", "access_token"} {
		if v, ok := req.Params.Get(name); ok {
			token = value.Text(v)
			req.Params.Delete(name)
		}
	}
	if token == "" {
		return Refusal("NO_AUTH_FOUND")
	}
	p.mu.Lock()
	g, err := p.app.Check(token)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	req.App, req.CredKey, req.User = true, "app", g.User
	req.By = Origin{User: g.User, App: true, Connector: req.Connector, Hops: g.Hops}
	return nil
}
