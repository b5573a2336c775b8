// Package certs obtains and renews the certificates of listen: {https: …}.
//
// It uses the protocol ACME (RFC 8555) with the challenge TLS-ALPN-01 (RFC 8737), on the
// port that receives the events.
package certs

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/store"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Manager obtains certificates.
type Manager struct {
	auto  *autocert.Manager
	hosts []string
	log   *slog.Logger
}

// New returns a Manager. The database keeps the certificates if the configuration has no
// folder for them. Requests to the authority end with ctx.
func New(ctx context.Context, c config.HTTPS, db store.DB, log *slog.Logger) *Manager {
	var cache autocert.Cache = database{db}
	if c.Folder != "" {
		cache = autocert.DirCache(c.Folder)
	}
	return &Manager{
		hosts: c.Hosts, log: log,
		auto: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: cache, Email: c.Email,
			HostPolicy: autocert.HostWhitelist(c.Hosts...),
			Client: &acme.Client{
				DirectoryURL: c.Directory, UserAgent: "b24rules",
				HTTPClient: &http.Client{Timeout: time.Minute, Transport: until{ctx.Done(), http.DefaultTransport}},
			},
		},
	}
}

// until ends requests when done is closed: autocert gives them its own context.
type until struct {
	done <-chan struct{}
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (u until) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-u.done:
		return nil, context.Canceled
	default:
		return u.RoundTripper.RoundTrip(r)
	}
}

// Listener returns a listener of TLS connections on top of one of TCP connections.
func (m *Manager) Listener(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{
		GetCertificate: m.auto.GetCertificate,
		// The events need no HTTP/2. The second protocol is that of the challenge.
		NextProtos: []string{"http/1.1", acme.ALPNProto},
		MinVersion: tls.VersionTLS12,
	})
}

// retries are the pauses after failed attempts to obtain a certificate. An authority refuses
// those who ask too often.
var retries = []time.Duration{2 * time.Minute, 10 * time.Minute, time.Hour}

// Obtain obtains the certificates that do not exist yet, so that the first event need not wait
// for them. It logs a failure with what to do, and tries again until ctx ends. Certificates are
// renewed a month before they end.
func (m *Manager) Obtain(ctx context.Context) {
	for _, host := range m.hosts {
		for attempt := 0; ; attempt++ {
			err := m.obtain(host)
			if err == nil {
				break
			}
			pause := retries[min(attempt, len(retries)-1)]
			m.log.Error("cannot obtain a certificate", slog.String("host", host), slog.String("error", err.Error()), slog.Duration("again_in", pause),
				slog.String("advice", "the name must lead to this machine, and port 443 of it to the address of listen, also through firewalls"))
			if wakeup.Sleep(ctx, pause) != nil {
				return
			}
		}
	}
}

// obtain returns when there is a certificate for a host.
func (m *Manager) obtain(host string) error {
	// What a client with elliptic curves sends: all portals have them.
	cert, err := m.auto.GetCertificate(&tls.ClientHelloInfo{
		ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	})
	if err != nil && strings.Contains(err.Error(), "no viable challenge type") {
		// autocert has tried all challenges and does not keep the words of the authority.
		return fmt.Errorf("the authority does not reach this program at %s:443", host)
	}
	if err != nil {
		return err
	}
	m.log.Info("certificate", slog.String("host", host), slog.String("until", cert.Leaf.NotAfter.UTC().Format(time.DateOnly)))
	return nil
}

// database keeps certificates in the database, so that processes which share it also share
// them.
type database struct{ db store.DB }

const (
	selectData = `SELECT data FROM b24_certificate WHERE name = $1`
	upsertData = `INSERT INTO b24_certificate (name, data) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET data = excluded.data`
	deleteData = `DELETE FROM b24_certificate WHERE name = $1`
)

// Get implements autocert.Cache.
func (d database) Get(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := d.db.QueryRow(ctx, selectData, name).Scan(&data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, autocert.ErrCacheMiss
	case err != nil:
		return nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	return slices.Clone(data), nil
}

// Put implements autocert.Cache.
func (d database) Put(ctx context.Context, name string, data []byte) error {
	return d.write(ctx, upsertData, name, data)
}

// Delete implements autocert.Cache.
func (d database) Delete(ctx context.Context, name string) error {
	return d.write(ctx, deleteData, name)
}

func (d database) write(ctx context.Context, text string, args ...any) error {
	return d.db.Write(ctx, func(ctx context.Context, t store.Tx) error {
		_, err := t.Exec(ctx, text, args...)
		return err
	})
}
