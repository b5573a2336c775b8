package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/b24rules/b24rules/internal/store"
)

const (
	// SessionFor is how long a session lasts.
	SessionFor = 12 * time.Hour
	// sessionIdle is how long a session may be unused.
	sessionIdle = time.Hour
	// usedEvery is how often the use of a session is stored.
	usedEvery = time.Minute
)

// Sessions are the sessions of the console. They are in the database, so that they survive a
// restart, hold for several processes and can be ended.
type Sessions struct{ DB store.DB }

// stored is what the database has of a token. Who reads the database cannot enter.
func stored(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Start starts a session, and returns its token. It deletes those that are over.
func (s Sessions) Start(ctx context.Context, who string, now time.Time) (token string, err error) {
	token = rand.Text()
	err = s.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		if _, err := t.Exec(ctx, `DELETE FROM b24_session WHERE created_at < $1 OR used_at < $2`,
			store.Micros(now.Add(-SessionFor)), store.Micros(now.Add(-sessionIdle))); err != nil {
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO b24_session (token, who, created_at, used_at) VALUES ($1, $2, $3, $3)`, stored(token), who, store.Micros(now))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("start a session: %w", err)
	}
	return token, nil
}

// Who returns the user of a session. ok is false if it is over. isUse says that a person does
// something: the session is not idle.
func (s Sessions) Who(ctx context.Context, token string, now time.Time, isUse bool) (who string, ok bool, err error) {
	if token == "" {
		return "", false, nil
	}
	var created, used int64
	err = s.DB.QueryRow(ctx, `SELECT who, created_at, used_at FROM b24_session WHERE token = $1`, stored(token)).Scan(&who, &created, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read the session: %w", err)
	}
	if now.Sub(store.Time(created)) >= SessionFor || now.Sub(store.Time(used)) >= sessionIdle {
		return "", false, nil
	}
	if isUse && now.Sub(store.Time(used)) >= usedEvery {
		err = s.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
			_, err := t.Exec(ctx, `UPDATE b24_session SET used_at = $2 WHERE token = $1 AND used_at < $2`, stored(token), store.Micros(now))
			return err
		})
	}
	return who, true, err
}

// End ends a session.
func (s Sessions) End(ctx context.Context, token string) error {
	err := s.DB.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, `DELETE FROM b24_session WHERE token = $1`, stored(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	return nil
}
