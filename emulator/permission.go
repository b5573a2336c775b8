package emulator

import (
	"net/http"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

// permit checks what is known before a command runs.
func (s *server) permit(req *exchange, m *method) *restError {
	if m.app && !req.app {
		return refusalOf("WRONG_AUTH_TYPE")
	}
	p := s.p
	if !p.options.allows(m.scope) {
		token := "webhook token"
		if req.app {
			token = "access token"
		}
		return failStatus(http.StatusUnauthorized, "insufficient_scope", "The request requires higher privileges than provided by the "+token)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limits.blocked(operatingKey{req.credKey, m.name}, time.Now()) {
		return refusalOf("OPERATION_TIME_LIMIT")
	}
	return nil
}

// authorize checks the secret of the inbound webhook or the application's
// token, and takes the token and the source key out of the parameters.
func (s *server) authorize(req *exchange) *restError {
	if v, ok := req.params.Get("auth_connector"); ok {
		req.connector = value.Text(v)
		req.params.Delete("auth_connector")
	}
	if req.connector != "" && !s.p.options.feature(featureAuthConnector) {
		return noLicense("auth_connector")
	}
	p := s.p
	if req.path.secret != "" {
		if req.path.user != p.user.IDText() || !sameSecret(req.path.secret, p.cfg.Secret) {
			return refusalOf("INVALID_CREDENTIALS")
		}
		req.credKey, req.user = "webhook", p.user.ID
		req.by = origin{user: req.user, hops: firstHops}
		return nil
	}
	token := req.bearer
	for _, name := range []string{"auth", "access_token"} {
		if v, ok := req.params.Get(name); ok {
			token = value.Text(v)
			req.params.Delete(name)
		}
	}
	if token == "" {
		return refusalOf("NO_AUTH_FOUND")
	}
	p.mu.Lock()
	g, err := p.app.check(token)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	req.app, req.credKey, req.user = true, "app", g.user
	req.by = origin{user: g.user, app: true, connector: req.connector, hops: g.hops}
	return nil
}
