package emulator

import (
	"net/http"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/emulator/internal/value"
)

// permit checks what is known before a command runs.
func (s *server) permit(req *exchange, m *rest.Method) *rest.Error {
	if m.App && !req.App {
		return rest.Refusal("WRONG_AUTH_TYPE")
	}
	p := s.p
	if !p.options.Allows(m.Scope) {
		token := "webhook token"
		if req.App {
			token = "access token"
		}
		return rest.FailStatus(http.StatusUnauthorized, "insufficient_scope", "The request requires higher privileges than provided by the "+token)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limits.Blocked(rest.OperatingKey{Credential: req.CredKey, Method: m.Name}, time.Now()) {
		return rest.Refusal("OPERATION_TIME_LIMIT")
	}
	return nil
}

// authorize checks the secret of the inbound webhook or the application's
// token, and takes the token and the source key out of the parameters.
func (s *server) authorize(req *exchange) *rest.Error {
	if v, ok := req.Params.Get("auth_connector"); ok {
		req.Connector = value.Text(v)
		req.Params.Delete("auth_connector")
	}
	if req.Connector != "" && !s.p.options.Feature(rest.FeatureAuthConnector) {
		return rest.NoLicense("auth_connector")
	}
	p := s.p
	if req.Path.Secret != "" {
		if req.Path.User != p.user.IDText() || !rest.SameSecret(req.Path.Secret, p.cfg.Secret) {
			return rest.Refusal("INVALID_CREDENTIALS")
		}
		req.CredKey, req.User = "webhook", p.user.ID
		req.By = rest.Origin{User: req.User, Hops: rest.FirstHops}
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
		return rest.Refusal("NO_AUTH_FOUND")
	}
	p.mu.Lock()
	g, err := p.app.Check(token)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	req.App, req.CredKey, req.User = true, "app", g.User
	req.By = rest.Origin{User: g.User, App: true, Connector: req.Connector, Hops: g.Hops}
	return nil
}
