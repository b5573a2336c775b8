package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"
)

// Request is what another system or a robot of the portal has sent, and what was proven.
type Request struct {
	// Hook is the name of the hook, "" for a robot. Robot is the code of the robot.
	Hook, Robot string
	// ContentType and Encoding are headers: the media type, and how the body is compressed.
	ContentType, Encoding string
	Body                  []byte
	// Query are the values of the address.
	Query url.Values
}

// name is the request in the log: its address without a secret.
func (r Request) name() string {
	if r.Robot != "" {
		return "robot/" + r.Robot
	}
	return "in/" + r.Hook
}

// Unfit returns an error of Receive for a proven request that does not fit what the rule
// takes. It is answered with 422 and the findings as JSON.
func Unfit(findings json.RawMessage, cause error) error {
	return &refusal{status: http.StatusUnprocessableEntity, text: string(findings), json: true, cause: cause}
}

// Untaken returns an error of Receive for a proven request that no rule takes now. It is
// answered with 503, because a rule may take it later.
func Untaken(cause error) error {
	return &refusal{status: http.StatusServiceUnavailable, text: "no rule takes this now", cause: cause}
}

// acceptHook takes a request of another system.
func (h *handler) acceptHook(w http.ResponseWriter, r *http.Request) (received, error) {
	vars := mux.Vars(r)
	req := Request{Hook: vars["hook"]}
	return h.acceptRequest(w, r, req, func(body []byte) string {
		credentials, known := h.Hook(vars["portal"], vars["hook"])
		switch proven := credentials.proves(r, vars["secret"], body, time.Now()); {
		case !known: // the name may be a secret that is in the wrong place
			return "the portal or the hook is not configured"
		case !proven:
			return "the request does not prove itself to " + req.name() + credentials.expected()
		}
		return ""
	})
}

// acceptRobot takes a request of a robot or of a business process. Its address is what
// proves it.
func (h *handler) acceptRobot(w http.ResponseWriter, r *http.Request) (received, error) {
	vars := mux.Vars(r)
	return h.acceptRequest(w, r, Request{Robot: vars["robot"]}, func([]byte) string {
		credentials, known := h.Robot(vars["portal"])
		switch proven := credentials.proves(r, vars["secret"], nil, time.Time{}); {
		case !known || credentials.Secret == "":
			return "the portal or its robots are not configured"
		case !proven:
			return "the address of a robot ends with a wrong secret, or with none"
		}
		return ""
	})
}

// acceptRequest takes a request. unproven says for the log why it does not prove itself, and
// is "" for one that does. The sender does not learn it.
func (h *handler) acceptRequest(w http.ResponseWriter, r *http.Request, req Request, unproven func(body []byte) string) (received, error) {
	portal := mux.Vars(r)["portal"]
	if r.Method != http.MethodPost {
		return received{}, &refusal{status: http.StatusMethodNotAllowed, text: "want POST"}
	}
	body, release, err := h.read(w, r)
	defer release()
	if err != nil {
		return received{}, err
	}
	if why := unproven(body); why != "" {
		return received{}, &refusal{status: http.StatusForbidden, text: "wrong address or secret", cause: errors.New(why)}
	}
	h.dump(portal, body)
	req.ContentType, req.Encoding = r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")
	req.Body, req.Query = body, r.URL.Query()
	return received{code: short(req.name())}, h.store(r.Context(), portal, func(ctx context.Context) error { return h.Receive(ctx, portal, req) })
}
