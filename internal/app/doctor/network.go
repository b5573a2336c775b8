package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	// certificateSoon is when the end of a certificate becomes a warning.
	certificateSoon = 14 * 24 * time.Hour
)

// Address makes the first check alone: whether the host of a portal can be reached. It needs
// no credentials.
func Address(ctx context.Context, p Portal) Check {
	x := &examination{Portal: p}
	x.address(ctx)
	return x.checks[0]
}

// address connects to the portal and checks its certificate. It reports whether the
// host can be reached.
func (x *examination) address(ctx context.Context) bool {
	const name = "address"
	u, err := url.Parse(x.URL)
	if err != nil || u.Hostname() == "" {
		x.add(name, Failed, "the address is no URL", "write it as https://acme.bitrix24.com")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		x.add(name, Failed, u.Host+": "+connectFailure(err), "check the address, the network and the firewall of this machine")
		return false
	}
	defer func() { _ = conn.Close() }() // nothing was written
	if u.Scheme != "https" {
		x.add(name, OK, u.Host+" answers, without encryption", "")
		return true
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: x.Insecure})
	if err := secure.HandshakeContext(ctx); err != nil {
		x.add(name, Failed, u.Host+": "+err.Error(), certificateAdvice(err))
		return false
	}
	end := secure.ConnectionState().PeerCertificates[0].NotAfter
	text := fmt.Sprintf("%s answers, its certificate is valid until %s", u.Host, end.Format(time.DateOnly))
	if end.Sub(x.Now()) < certificateSoon {
		x.add(name, Warning, text, "the portal's administrator must renew the certificate")
		return true
	}
	x.add(name, OK, text, "")
	return true
}

// connectFailure describes why there is no connection.
func connectFailure(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer for %s", connectTimeout)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error() // the address is in the line already
	}
	return err.Error()
}

// certificateAdvice says what to do about a failed handshake.
func certificateAdvice(err error) string {
	if isCertificateFault(err) {
		return "the certificate cannot be trusted: the portal's administrator must renew it; for a portal on your own network there is tls: {insecure_skip_verify: true}"
	}
	return "the host does not speak TLS at this port: check the address, also whether it starts with http:// or https://"
}

// isCertificateFault reports whether a handshake failed because the certificate is not
// trusted.
func isCertificateFault(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &unverified)
}
