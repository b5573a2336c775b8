package pgtemp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Variable names the environment variable with the URL of a server to use
// instead of a throw-away one. Its user must be allowed to create databases.
const Variable = "B24RULES_TEST_POSTGRES"

// Pool hands out databases of one server. The zero value is ready; the server
// starts with the first database. Close it, or let Run do so.
type Pool struct {
	mu     sync.Mutex
	base   string // URL of the server
	server *Server
	err    error
	n      int
	made   []string
}

// Missing reports whether an error of Create says that PostgreSQL is not installed.
// Under CI it is always false: PostgreSQL must be installed there.
func Missing(err error) bool { return errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" }

// Server returns the server, or nil when the pool uses an existing one.
func (p *Pool) Server() *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// Create creates a database, a copy of template unless that is "", and returns its
// name and URL.
func (p *Pool) Create(ctx context.Context, template string) (name, dsn string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base == "" && p.err == nil {
		p.err = p.start(ctx)
	}
	if p.err != nil {
		return "", "", p.err
	}
	p.n++
	name = fmt.Sprintf("b24test_%d_%d", os.Getpid(), p.n)
	if template == "" {
		template = "template1"
	}
	if err := p.exec(ctx, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, name, template)); err != nil {
		return "", "", err
	}
	p.made = append(p.made, name)
	dsn, err = withDatabase(p.base, name)
	return name, dsn, err
}

// TB is the part of testing.TB that Each uses.
type TB interface {
	Helper()
	Context() context.Context
	TempDir() string
	Log(args ...any)
	Fatal(args ...any)
}

// Each returns the URL of an empty database of each kind, by the names SQLite and PostgreSQL.
// Where PostgreSQL is not installed, it is missing, and the test's log says so; see Missing.
func (p *Pool) Each(t TB) map[string]string {
	t.Helper()
	dsns := map[string]string{"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "queue.db")}
	switch _, dsn, err := p.Create(t.Context(), ""); {
	case err == nil:
		dsns["PostgreSQL"] = dsn
	case Missing(err):
		t.Log(err)
	default:
		t.Fatal(err)
	}
	return dsns
}

// Drop removes a database and ends its connections.
func (p *Pool) Drop(ctx context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exec(ctx, fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name))
}

func (p *Pool) start(ctx context.Context) (err error) {
	if p.base = os.Getenv(Variable); p.base != "" {
		return nil
	}
	if p.server, err = Start(ctx); err != nil {
		return err
	}
	p.base = p.server.DSN("postgres")
	return nil
}

func (p *Pool) exec(ctx context.Context, text string) error {
	conn, err := pgx.Connect(ctx, p.base)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, text)
	return errors.Join(err, conn.Close(ctx))
}

// Run runs the tests of a package and closes the pool. It returns the code for os.Exit.
func (p *Pool) Run(tests interface{ Run() int }) int {
	code := tests.Run()
	if err := p.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		return 1
	}
	return code
}

// Close stops the server, or drops the databases on an existing one.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return p.server.Stop()
	}
	var errs []error
	for _, name := range p.made {
		errs = append(errs, p.exec(context.Background(), fmt.Sprintf(`DROP DATABASE IF EXISTS %s WITH (FORCE)`, name)))
	}
	return errors.Join(errs...)
}

func withDatabase(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("%s is no URL", Variable)
	}
	u.Path = "/" + name
	return u.String(), nil
}
