package service

import (
	"context"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/internal/queue"
)

// tokenNote stores the tokens of one portal in the database, where all processes
// that share it find them. Only the owner can read the file of a database.
type tokenNote struct {
	queue *queue.Queue
	name  string
}

func tokensOf(q *queue.Queue, portal string) *tokenNote {
	return &tokenNote{queue: q, name: "oauth." + portal}
}

// Load implements bitrix.TokenStore.
func (n *tokenNote) Load(ctx context.Context) (bitrix.Tokens, error) {
	note, _, err := n.queue.Note(ctx, n.name)
	if err != nil {
		return bitrix.Tokens{}, err
	}
	return bitrix.ReadTokens([]byte(note.Value))
}

// Update implements bitrix.TokenStore.
func (n *tokenNote) Update(ctx context.Context, change func(context.Context, bitrix.Tokens) (bitrix.Tokens, error)) error {
	return n.queue.UpdateNote(ctx, n.name, func(ctx context.Context, old string) (string, error) {
		t, err := bitrix.ReadTokens([]byte(old))
		if err != nil {
			return "", err
		}
		t, err = change(ctx, t)
		if err != nil {
			return "", err
		}
		return string(t.Reveal()), nil
	})
}

// put replaces the tokens.
func (n *tokenNote) put(ctx context.Context, t bitrix.Tokens) error {
	return n.Update(ctx, func(context.Context, bitrix.Tokens) (bitrix.Tokens, error) { return t, nil })
}
