package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/b24rules/b24rules/internal/access"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/console"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/reload"
)

var consoleCmd = &command{
	name:  "console",
	args:  "COMMAND",
	short: "make passwords and tokens for the web pages",
	long: `Serve has web pages for the person on call: portals, runs with the causes of failures,
events, rules, and what people did. The configuration switches them on:

  console: {listen: 127.0.0.1:8402}

Without users they are open, and only on this machine. Beyond it they need users with
passwords, or a proxy that signs people in.`,
	setup: func(*flag.FlagSet) runFunc { return nil },
	subs:  []*command{consolePasswdCmd, consoleTokenCmd},
}

var consolePasswdCmd = &command{
	name:  "console passwd",
	short: "print the hash of a password, for password_file",
	long: `Passwd reads a password from the terminal, or a line from standard input, and prints
its hash (argon2id). Write the hash to the password_file of a user.`,
	setup: func(*flag.FlagSet) runFunc {
		return func(_ context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			password, err := readPassword(env)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Out, access.HashPassword(password))
			return err
		}
	},
}

var consoleTokenCmd = &command{
	name:  "console token",
	short: "print a new token for a program, and its hash",
	long: `Token prints a new token on standard error, and its hash on standard output. Write the
hash to the token_file of a token, and give the token to the program: it reads pages as
JSON with the headers Authorization: Bearer TOKEN and Accept: application/json.`,
	setup: func(*flag.FlagSet) runFunc {
		return func(_ context.Context, env environment, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			token, hash := access.NewToken()
			env.say("the token, which is shown only now: %s", token)
			_, err := fmt.Fprintln(env.Out, hash)
			return err
		}
	},
}

// leastPassword is the least length of a password.
const leastPassword = 10

// readPassword reads a password, twice from a terminal.
func readPassword(env environment) (string, error) {
	read := func() (string, error) {
		line, err := bufio.NewReader(env.In).ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	}
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		read = func() (string, error) {
			text, err := term.ReadPassword(int(f.Fd()))
			_, _ = fmt.Fprintln(env.Err)
			return string(text), err
		}
		_, _ = fmt.Fprint(env.Err, "password: ")
		first, err := read()
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprint(env.Err, "again: ")
		second, err := read()
		if err == nil && first != second {
			err = errors.New("the passwords differ")
		}
		return first, checkPassword(first, err)
	}
	password, err := read()
	if err != nil {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	return password, checkPassword(password, nil)
}

func checkPassword(password string, err error) error {
	if err == nil && len([]rune(password)) < leastPassword {
		return usagef("a password needs at least %d characters", leastPassword)
	}
	return err
}

// serveConsole serves the web pages of a service. end stops them.
func serveConsole(ctx context.Context, env environment, s *service.Service, log *slog.Logger) (end func(), err error) {
	c := s.Config().Console
	ln, err := service.Listen(ctx, c.Listen)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	if !config.IsLoopbackHost(host) && !strings.HasPrefix(c.URL, "https:") {
		log.Warn("the console is reached without TLS: put a proxy in front of it, and write its https address to console: url")
	}
	pages := console.New(console.Options{
		Queue: s.Queue(), Config: s.Config, Broken: s.Broken, Rules: s.Generation, Log: log,
		Plan: s.PlansOf,
		Reload: func(ctx context.Context, by string) (string, error) {
			answers, silent, err := reload.Ask(ctx, s.Queue(), reload.Request{ID: rand.Text(), By: by})
			return reloadText(answers, silent), err
		},
	})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	server := service.NewServer(pages.Handler(), log)
	server.BaseContext = func(net.Listener) context.Context { return running } // streams end with it
	var wg sync.WaitGroup
	wg.Go(func() { pages.Run(running) })
	wg.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the console has stopped", "error", err)
		}
	})
	address := c.URL
	if address == "" {
		address = "http://" + ln.Addr().String()
	}
	env.say("console: %s/", address)
	return func() {
		stop()
		_ = server.Close()
		wg.Wait()
	}, nil
}

// reloadText says in a line what a reload has done.
func reloadText(answers []reload.Answer, silent []string) string {
	var b strings.Builder
	if err := report.WriteReload(&b, "text", answers); err != nil {
		return err.Error()
	}
	text := report.OneLine(b.String())
	if len(silent) > 0 {
		text += "; no answer from " + strings.Join(silent, ", ")
	}
	return text
}
