package pgtemp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Crash ends the server without a shutdown (immediate mode): Run recovers it from its
// log.
func (s *Server) Crash() error {
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-s.ended
	s.process = nil
	return nil
}

// Replica starts a second server that follows this one. From then on a commit of this
// server waits until the replica has it on disk. The caller stops the replica.
func (s *Server) Replica(ctx context.Context) (r *Server, err error) {
	r = &Server{bin: s.bin, account: s.account}
	if r.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Stop())
		}
	}()
	if r.account != nil {
		if err := os.Chown(r.dir, int(r.account.Uid), int(r.account.Gid)); err != nil {
			return nil, err
		}
	}
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		return nil, err
	}
	out, err := r.command(ctx, "pg_basebackup", "-h", s.dir, "-U", "b24", "-D", r.data(), "-R", "-c", "fast", "--no-sync").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := r.Run(ctx); err != nil {
		return nil, err
	}
	return r, s.execute(ctx, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
}

// Promote makes a replica the server that takes writes.
func (s *Server) Promote(ctx context.Context) error {
	if err := s.execute(ctx, "SELECT pg_promote()"); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var follows bool
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			err = errors.Join(conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&follows), conn.Close(ctx))
		}
		if err == nil && !follows {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("the replica still follows"), err)
		}
	}
}

func (s *Server) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	for _, text := range statements {
		if _, err = conn.Exec(ctx, text); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}

// DSNOfBoth is the URL of a database on the one of two servers that takes writes.
func DSNOfBoth(a, b *Server, database string) string {
	return fmt.Sprintf("postgres://b24@/%s?host=%s,%s&port=5432,5432&target_session_attrs=read-write", database, a.dir, b.dir)
}
