package testkit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Authority is a certificate authority that speaks ACME on the loopback device. It checks that a host
// answers the challenge TLS-ALPN-01, as an authority on the internet does.
type Authority struct {
	// Directory is the URL for the configuration.
	Directory string
	// Roots trusts the certificates of the authority.
	Roots *x509.CertPool

	t    testing.TB
	key  *ecdsa.PrivateKey
	root *x509.Certificate

	mu     sync.Mutex
	hosts  map[string]string // the address that a name leads to
	orders map[string]*acmeOrder
	refuse string // why orders are refused, "" for not at all
	issued int
}

// acmeOrder is an order of one name. Its fields are guarded by the lock of the authority.
type acmeOrder struct {
	host, state string
	problem     string
	certificate []byte
}

// NewAuthority starts an authority.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, hosts: map[string]string{}, orders: map[string]*acmeOrder{}, Roots: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Roots.AddCert(a.root)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.Directory = server.URL + "/directory"
	return a
}

// Lead says which address a name leads to.
func (a *Authority) Lead(host, addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosts[host] = addr
}

// Refuse makes the authority refuse orders with a reason; "" accepts them again.
func (a *Authority) Refuse(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = reason
}

// Issued is how many certificates were issued.
func (a *Authority) Issued() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issued
}

// Client is a client that trusts the authority and finds its hosts, as a portal does.
func (a *Authority) Client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.Roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			a.mu.Lock()
			if to, ok := a.hosts[host]; ok {
				addr = to
			}
			a.mu.Unlock()
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	}}
}

// ServeHTTP implements http.Handler with the parts of RFC 8555 that a client needs. It does not
// check signatures.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", rand.Text())
	base := "http://" + r.Host
	var jws struct{ Payload string }
	payload := []byte{}
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &jws)
		}
		if err == nil {
			payload, err = base64.RawURLEncoding.DecodeString(jws.Payload)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	o := a.orders[id]
	switch {
	case kind == "directory":
		answerJSON(w, http.StatusOK, map[string]any{"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/new-order", "revokeCert": base + "/revoke"})
	case kind == "nonce":
	case kind == "account":
		w.Header().Set("Location", base+"/account/1")
		answerJSON(w, http.StatusCreated, map[string]any{"status": "valid"})
	case kind == "new-order" && a.refuse != "":
		w.Header().Set("Content-Type", "application/problem+json")
		answerJSON(w, http.StatusForbidden, map[string]any{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": a.refuse})
	case kind == "new-order":
		var in struct{ Identifiers []struct{ Value string } }
		if err := json.Unmarshal(payload, &in); err != nil || len(in.Identifiers) != 1 {
			http.Error(w, "want one identifier", http.StatusBadRequest)
			return
		}
		id = fmt.Sprint(len(a.orders) + 1)
		a.orders[id] = &acmeOrder{host: in.Identifiers[0].Value, state: "pending"}
		w.Header().Set("Location", base+"/order/"+id)
		answerJSON(w, http.StatusCreated, a.order(base, id))
	case o == nil:
		http.NotFound(w, r)
	case kind == "order":
		answerJSON(w, http.StatusOK, a.order(base, id))
	case kind == "authorization":
		answerJSON(w, http.StatusOK, map[string]any{
			"status":     map[string]string{"pending": "pending", "invalid": "invalid"}[o.state] + map[bool]string{true: "valid"}[o.state == "ready" || o.state == "valid"],
			"identifier": map[string]any{"type": "dns", "value": o.host}, "challenges": []any{a.challenge(base, id)},
		})
	case kind == "challenge":
		host, addr := o.host, a.hosts[o.host]
		a.mu.Unlock()
		err := answersChallenge(host, addr)
		a.mu.Lock()
		if o.state = "ready"; err != nil {
			o.state, o.problem = "invalid", err.Error()
		}
		answerJSON(w, http.StatusOK, a.challenge(base, id))
	case kind == "finalize":
		var in struct{ CSR string }
		der := []byte{}
		err := json.Unmarshal(payload, &in)
		if err == nil {
			der, err = base64.RawURLEncoding.DecodeString(in.CSR)
		}
		if err == nil {
			o.certificate, err = a.issue(o.host, der)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		o.state = "valid"
		a.issued++
		w.Header().Set("Location", base+"/order/"+id)
		answerJSON(w, http.StatusOK, a.order(base, id))
	case kind == "certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(o.certificate)
	default:
		http.NotFound(w, r)
	}
}

func (a *Authority) order(base, id string) map[string]any {
	o := a.orders[id]
	out := map[string]any{
		"status": o.state, "identifiers": []any{map[string]any{"type": "dns", "value": o.host}},
		"authorizations": []string{base + "/authorization/" + id}, "finalize": base + "/finalize/" + id,
	}
	if o.state == "valid" {
		out["certificate"] = base + "/certificate/" + id
	}
	return out
}

func (a *Authority) challenge(base, id string) map[string]any {
	o := a.orders[id]
	out := map[string]any{"type": "tls-alpn-01", "url": base + "/challenge/" + id, "token": "t0ken-" + id, "status": "pending"}
	switch o.state {
	case "ready", "valid":
		out["status"] = "valid"
	case "invalid":
		out["status"] = "invalid"
		out["error"] = map[string]any{"type": "urn:ietf:params:acme:error:connection", "detail": o.problem}
	}
	return out
}

// answersChallenge connects to a host and checks its answer (RFC 8737). The digest in the
// answer is not compared, because the authority does not read account keys.
func answersChallenge(host, addr string) error {
	if addr == "" {
		return fmt.Errorf("no address for %s", host)
	}
	d := &tls.Dialer{Config: &tls.Config{ServerName: host, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	state := conn.(*tls.Conn).ConnectionState()
	if state.NegotiatedProtocol != "acme-tls/1" || len(state.PeerCertificates) == 0 || state.PeerCertificates[0].VerifyHostname(host) != nil {
		return fmt.Errorf("%s does not answer the challenge", host)
	}
	for _, e := range state.PeerCertificates[0].Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			return nil
		}
	}
	return fmt.Errorf("the certificate of %s is no answer to the challenge", host)
}

// issue signs a request.
func (a *Authority) issue(host string, der []byte) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(csr.DNSNames, []string{host}) {
		return nil, fmt.Errorf("the request is for %v, the order for %s", csr.DNSNames, host)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, a.root, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...), nil
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
