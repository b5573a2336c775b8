package alerts

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// Email sends messages to addresses through a mail server.
type Email struct {
	// Server is HOST:PORT. TLS says that the connection starts with TLS, as on port 465;
	// otherwise STARTTLS is used if the server offers it.
	Server string
	TLS    bool
	// User and Password sign in, unless User is "". They are sent over TLS only, or to this
	// machine.
	User     string
	Password bitrix.Secret
	From     string
	To       []string
}

// Send implements Sink. It sends one message to all addresses: if the server refuses one of
// them, none has got it.
func (e Email) Send(ctx context.Context, m Message) error {
	host, _, err := net.SplitHostPort(e.Server)
	if err != nil {
		return fmt.Errorf("the mail server %s is not HOST:PORT", e.Server)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", e.Server)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if e.TLS {
		conn = tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := e.deliver(c, host, m); err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	return nil
}

func (e Email) deliver(c *smtp.Client, host string, m Message) error {
	if ok, _ := c.Extension("STARTTLS"); ok && !e.TLS {
		if err := c.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	}
	if e.User != "" {
		if ok, _ := c.Extension("AUTH"); !ok {
			return errors.New("it takes no user and password")
		}
		if err := c.Auth(smtp.PlainAuth("", e.User, e.Password.Reveal(), host)); err != nil {
			return err
		}
	}
	if err := c.Mail(e.From); err != nil {
		return err
	}
	for _, to := range e.To {
		if err := c.Rcpt(to); err != nil {
			return fmt.Errorf("address %s: %w", to, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(e.text(m)); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server has taken the message
		return err
	}
	_ = c.Quit() // the message has arrived, whatever the answer is
	return nil
}

// text is the whole message. The same message has the same Message-ID, so that a mail program
// shows it once.
func (e Email) text(m Message) []byte {
	var b bytes.Buffer
	subject, rest, _ := strings.Cut(m.ForPeople(), "\n")
	header := func(name, value string) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
	}
	header("From", e.From)
	header("To", strings.Join(e.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", subject))
	header("Date", m.At.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+m.ID+"@b24rules>")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(strings.TrimSpace(subject+"\n\n"+rest), "\n", "\r\n") + "\r\n")) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
