// Package pgtemp runs throw-away PostgreSQL servers for tests, from the
// programs that are installed. They listen on a socket in a temporary folder,
// never wait for the disk and end with the process.
package pgtemp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is returned where there is no PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is not installed: initdb and postgres are neither in PATH nor in /usr/lib/postgresql")

// Server is a PostgreSQL server. Stop it.
type Server struct {
	dir     string // holds the data and the socket
	bin     string // folder of the programs
	account *syscall.Credential
	process *exec.Cmd
	ended   chan struct{}
	log     *os.File
}

// Start creates an empty server and starts it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	account, err := plainAccount()
	if err != nil {
		return nil, err
	}
	// A socket's path has 107 bytes at most, so not below a test's own folder.
	dir, err := os.MkdirTemp("", "b24pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, account: account}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.Run(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// programs finds the folder with the server's programs, those of the newest
// version first: Debian keeps them out of PATH.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", ErrNotInstalled
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for what is no number
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// plainAccount returns the account to run the server as, because the server refuses
// root. nil is the account of this process.
func plainAccount() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) create(ctx context.Context) (err error) {
	if s.account != nil {
		if err := os.Chown(s.dir, int(s.account.Uid), int(s.account.Gid)); err != nil {
			return err
		}
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	out, err := s.command(ctx, "initdb", "-D", s.data(), "-U", "b24", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	cmd.SysProcAttr = dieWithUs(&syscall.SysProcAttr{Credential: s.account})
	return cmd
}

// patience is how long a server may take to start or to catch up: long enough for a very busy machine.
const patience = 3 * time.Minute

// Run starts a halted server. Start calls it the first time.
func (s *Server) Run(ctx context.Context) error {
	// The server outlives ctx: Stop ends it.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(), "-k", s.dir, "-h", "",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "max_connections=300",
		"-c", "autovacuum=off", "-c", "max_wal_size=256MB", "-c", "jit=off")
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process, s.ended = cmd, make(chan struct{})
	ended := s.ended
	go func() {
		_ = cmd.Wait() // the log tells
		close(ended)
	}()
	deadline := time.Now().Add(patience)
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			return fmt.Errorf("postgres has ended: %s", s.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres takes no connections: %w: %s", err, s.tail())
		}
	}
}

func (s *Server) tail() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// Halt ends the server the way an administrator restarts it (fast mode): clients are
// disconnected. Run starts it again.
func (s *Server) Halt() error {
	if s.process == nil {
		return nil
	}
	select {
	case <-s.ended:
	default:
		if err := s.process.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-s.ended
	}
	s.process = nil
	return nil
}

// Stop ends the server and removes its data.
func (s *Server) Stop() error {
	err := s.Halt()
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// DSN is the URL of a database of the server.
func (s *Server) DSN(database string) string {
	return (&url.URL{Scheme: "postgres", User: url.User("b24"), Path: "/" + database, RawQuery: url.Values{"host": {s.dir}}.Encode()}).String()
}
