package alerts

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer plays a mail server.
type mailServer struct {
	address string
	mu      sync.Mutex
	mails   []string
	users   []string
	refuse  bool // addresses
}

func (s *mailServer) setRefuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{address: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	in := bufio.NewScanner(conn)
	var mail strings.Builder
	data := false
	for in.Scan() {
		line := in.Text()
		switch {
		case data && line == ".":
			data = false
			s.mu.Lock()
			s.mails = append(s.mails, mail.String())
			s.mu.Unlock()
			mail.Reset()
			say("250 taken")
		case data:
			mail.WriteString(line + "\n")
		case strings.HasPrefix(line, "EHLO"):
			say("250-mail.test")
			say("250 AUTH PLAIN")
		case strings.HasPrefix(line, "AUTH"):
			s.mu.Lock()
			s.users = append(s.users, line)
			s.mu.Unlock()
			say("235 ok")
		case strings.HasPrefix(line, "RCPT"):
			s.mu.Lock()
			refuse := s.refuse
			s.mu.Unlock()
			if refuse {
				say("451 later")
				continue
			}
			say("250 ok")
		case strings.HasPrefix(line, "DATA"):
			data = true
			say("354 go")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func TestEmail(t *testing.T) {
	s := newMailServer(t)
	e := Email{Server: s.address, User: "ops", Password: "s3cr3t", From: "b24rules@ops.example", To: []string{"anna@ops.example", "ivan@ops.example"}}
	m := Message{ID: "42", State: Started, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Condition: Condition{
		Title: "41 runs are parked: Кровля.\r\nBcc: all@evil.example", Text: "Give the right \"Edit\".", Link: "https://ops.example/runs?cause=8c1e",
	}}
	if err := e.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	s.setRefuse(true)
	if err := e.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("a refused address: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mails) != 1 || len(s.users) != 2 {
		t.Fatalf("mails %q, users %q", s.mails, s.users)
	}
	head, body, _ := strings.Cut(s.mails[0], "\n\n")
	for _, want := range []string{"From: b24rules@ops.example", "To: anna@ops.example, ivan@ops.example", "Subject: =?utf-8?q?41_runs_are_parked:_", "Message-ID: <42@b24rules>", "Date: Sun, 01 Mar 2026 12:00:00 +0000"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if strings.Contains(head, "\nBcc:") || !strings.Contains(body, `Give the right "Edit".`) || !strings.Contains(body, "https://ops.example/runs?cause=3D8c1e") {
		t.Errorf("the mail:\n%s", s.mails[0])
	}
	if err := (Email{Server: "127.0.0.1:1", From: "a@b", To: []string{"c@d"}}).Send(t.Context(), m); err == nil {
		t.Error("a server that is down takes a message")
	}
}
