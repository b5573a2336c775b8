package alerts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// client follows no redirects, because a message would reach another receiver than the
// configuration names.
var client = &http.Client{
	Timeout:       sendTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// mostAnswer bounds how much of an answer is read.
const mostAnswer = 64 << 10

// SignatureHeader holds sha256= and the HMAC-SHA256 of the body in hexadecimal digits.
const SignatureHeader = "X-B24rules-Signature"

// Webhook sends messages as JSON by POST. Its URL may hold a secret. With a Secret it
// signs them.
type Webhook struct {
	URL    bitrix.Secret
	Secret bitrix.Secret
}

// webhookBody is the JSON of a message.
type webhookBody struct {
	Schema string `json:"schema"`
	Message
	Text string `json:"message"` // title and text for people
}

// Send implements Sink. Any status of 200 to 299 says that the message has arrived.
func (w Webhook) Send(ctx context.Context, m Message) error {
	m.At, m.Since = m.At.UTC(), m.Since.UTC()
	body, err := json.Marshal(webhookBody{Schema: "b24rules/alert/1", Message: m, Text: m.ForPeople()})
	if err != nil {
		return err
	}
	header := http.Header{"Idempotency-Key": {m.ID}}
	if w.Secret != "" {
		mac := hmac.New(sha256.New, []byte(w.Secret.Reveal()))
		_, _ = mac.Write(body) // a hash takes everything
		header.Set(SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	status, _, after, err := post(ctx, w.URL.Reveal(), header, body)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return later(after, fmt.Errorf("the webhook answered with status %d", status))
	}
	return nil
}

// Telegram sends messages as a bot to a chat.
type Telegram struct {
	Token bitrix.Secret
	Chat  string // the id of the chat, or @CHANNEL
	API   string // "" means https://api.telegram.org
}

// Send implements Sink.
func (t Telegram) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(map[string]any{
		"chat_id": t.Chat, "text": m.ForPeople(), "link_preview_options": map[string]bool{"is_disabled": true},
	})
	if err != nil {
		return err
	}
	address := strings.TrimRight(cmp.Or(t.API, "https://api.telegram.org"), "/") + "/bot" + url.PathEscape(t.Token.Reveal()) + "/sendMessage"
	status, answer, after, err := post(ctx, address, http.Header{}, body)
	if err != nil {
		return err
	}
	var said struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return later(after, fmt.Errorf("the Telegram API answered with status %d and no JSON", status))
	}
	if !said.OK {
		return later(max(after, time.Duration(said.Parameters.RetryAfter)*time.Second), fmt.Errorf("the Telegram API answered with status %d: %s", status, said.Description))
	}
	return nil
}

// later adds the time that a receiver names for the next message.
func later(wait time.Duration, err error) error {
	if wait <= 0 {
		return err
	}
	return &RetryAfter{Wait: min(wait, time.Hour), Err: err}
}

// post sends JSON. Its errors do not have the address, which may hold a secret.
func post(ctx context.Context, address string, header http.Header, body []byte) (status int, answer []byte, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, 0, errors.New("the address is not a URL")
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "b24rules")
	resp, err := client.Do(req)
	if err != nil {
		var withAddress *url.Error
		if errors.As(err, &withAddress) {
			err = withAddress.Err
		}
		return 0, nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		after = time.Duration(seconds) * time.Second
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	return resp.StatusCode, answer, after, err
}
