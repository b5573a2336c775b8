package service

import (
	"context"
	"sync"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/notes"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/internal/redact"
)

// tokenNote stores the tokens of one portal in the database, where all processes
// that share it find them. Only the owner can read the file of a database.
type tokenNote struct {
	queue    *queue.Queue
	name     string
	redactor *redact.Redactor

	mu   sync.Mutex
	last bitrix.Tokens // that redactor got last
}

func tokensOf(q *queue.Queue, portal string, r *redact.Redactor) *tokenNote {
	return &tokenNote{queue: q, name: "oauth." + portal, redactor: r}
}

// hide gives tokens to the redactor. The tokens before them stay hidden, because answers
// and errors that have them may still come.
func (n *tokenNote) hide(t bitrix.Tokens) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.Access == "" || t == n.last {
		return
	}
	var texts []string
	for _, x := range []bitrix.Tokens{t, n.last} {
		texts = append(texts, x.Access.Reveal(), x.Refresh.Reveal(), x.Application.Reveal())
	}
	n.redactor.Set(n.name, texts...)
	n.last = t
}

// Load implements bitrix.TokenStore.
func (n *tokenNote) Load(ctx context.Context) (bitrix.Tokens, error) {
	note, _, err := notes.Get(ctx, n.queue.Database(), n.name)
	if err != nil {
		return bitrix.Tokens{}, err
	}
	t, err := bitrix.ReadTokens([]byte(note.Value))
	if err == nil {
		n.hide(t)
	}
	return t, err
}

// Update implements bitrix.TokenStore.
func (n *tokenNote) Update(ctx context.Context, change func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	return notes.Update(ctx, n.queue.Database(), n.name, func(ctx context.Context, old string) (string, error) {
		t, err := bitrix.ReadTokens([]byte(old))
		if err != nil {
			return "", err
		}
		t, err = change(ctx, t)
		if err != nil {
			return "", err
		}
		n.hide(t)
		return string(t.Reveal()), nil
	})
}

// put replaces the tokens.
func (n *tokenNote) put(ctx context.Context, t bitrix.Tokens) error {
	return n.Update(ctx, func(context.Context, bitrix.Tokens) (bitrix.Tokens, error) { return t, nil })
}
