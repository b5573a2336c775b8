package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/service"
	"github.com/b24rules/b24rules/internal/diag"
)

// configFlag declares the flag --config.
func configFlag(fs *flag.FlagSet) *string {
	path := new(string)
	configVar(fs, path)
	return path
}

// configVar is configFlag with a place for the value.
func configVar(fs *flag.FlagSet, path *string) {
	fs.StringVar(path, "config", config.DefaultFile, "read the configuration from `FILE`")
}

// loadConfig reads a configuration and prints its findings. Errors of single portals do not
// matter as long as another portal has none: the portals with errors are in Broken.
func loadConfig(env environment, path string) (*config.Config, error) {
	if path == config.DefaultFile {
		path = config.FindDefault(".")
	}
	c, list, err := config.Read(path)
	switch {
	case err != nil && path == config.DefaultFile && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no configuration: %s does not exist (b24rules init makes one; --config FILE names another)", path)
	case err != nil:
		return nil, fmt.Errorf("no configuration: %w", config.Plain(err))
	case list.HasErrors() && c != nil:
		if others := c.Usable(list); others.HasErrors() || len(c.Portals) == 0 {
			return nil, printFindings(env, list)
		}
	case list.HasErrors():
		return nil, printFindings(env, list)
	}
	c.Redactor = env.redactor
	c.Redactor.Set("configuration", c.Secrets()...)
	return c, nil
}

// loadRules loads the rules of the configuration. It prints a finding for each path
// that cannot be read.
func loadRules(env environment, c *config.Config) (*fleet.Rules, *fleet.Generation, error) {
	rules, err := newRules(env, c)
	if err != nil {
		return nil, nil, err
	}
	_, gen, err := rules.Load()
	return rules, gen, err
}

// newRules returns the rules of the configuration, which are not loaded yet. It prints a
// finding for each path that cannot be read.
func newRules(env environment, c *config.Config) (*fleet.Rules, error) {
	var list diag.List
	for i, pos := range c.RulesAt {
		if _, err := os.Stat(c.Rules[i]); err != nil {
			list.Errorf(pos, "unreadable-file", "rules: %v", config.Plain(err)).Hint = "paths are relative to the folder of the configuration"
		}
	}
	if len(list) > 0 {
		return nil, printFindings(env, list)
	}
	return &fleet.Rules{Source: fleet.FilesOf(c.Rules), Actions: env.actions, Portals: c.Portals, Private: c.PrivateHosts, Redactor: c.Redactor}, nil
}

// openService creates the service of a command. With dry it writes nothing to the portals,
// and a database that does not exist yet is not created. The caller must call done.
func openService(ctx context.Context, c *config.Config, rules *fleet.Rules, dry bool, log *slog.Logger) (s *service.Service, done func(), err error) {
	forget := func() {}
	if dry {
		if forget, err = withoutDatabase(c); err != nil {
			return nil, nil, err
		}
	}
	usable := *c
	usable.Broken = nil // serve decides about them
	if s, err = service.New(ctx, service.Options{Config: &usable, Rules: rules, ReadOnly: dry, Log: log}); err != nil {
		forget()
		return nil, nil, err
	}
	return s, func() { s.Close(); forget() }, nil
}

// withoutDatabase gives the configuration an empty database if its own does not exist yet,
// so that a command of another user than that of serve does not create it. The caller must
// call forget.
func withoutDatabase(c *config.Config) (forget func(), err error) {
	if haveDatabase(c) == nil {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "b24rules")
	if err != nil {
		return nil, err
	}
	c.Database = "sqlite:" + filepath.Join(dir, "none.db")
	return func() { _ = os.RemoveAll(dir) }, nil
}

// checkMade prints rules that would make again what rules have made. Unless the command is dry,
// it does not run.
func checkMade(ctx context.Context, env environment, s *service.Service, dry, partial bool) error {
	list, err := s.CheckMade(ctx, partial)
	if err != nil || len(list) == 0 {
		return err
	}
	if err := printFindings(env, list); !dry || !errors.Is(err, errFindings) {
		return err
	}
	return nil
}
