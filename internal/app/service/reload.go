package service

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/diag"
)

// Watch logs the rule sets that run. It loads the configuration and the rules again when
// their files and folders change, or when a signal arrives, until end is called.
func (s *Service) Watch(ctx context.Context, reload <-chan os.Signal) (end func(), err error) {
	fleet.LogChanges(s.log, nil, s.rules.Current())
	w, err := fleet.NewWatcher(s.watched, s.Reload, s.log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx, reload) }()
	return func() {
		cancel()
		<-ended
	}, nil
}

// watched are the files and folders whose changes matter.
func (s *Service) watched() []string {
	paths := s.config.Load().Rules
	if s.reread != nil {
		paths = append(append([]string{s.reread.path}, *s.reread.files.Load()...), paths...)
	}
	return paths
}

// Reload loads the configuration and the rules again. It reports whether a file was still
// being written, so that it must be called again.
func (s *Service) Reload() (again bool) {
	again = s.reload()
	s.looks.add(context.Background())
	return again
}

func (s *Service) reload() (again bool) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, p := range s.portals.all() { // new rules may be about new fields
		p.Client.ForgetFields(time.Now())
	}
	if s.reread != nil {
		if c, waits := s.reread.again(s); waits {
			again = true
		} else if c != nil {
			return s.apply(c)
		}
	}
	before, now, err := s.rules.Load()
	if err != nil {
		s.log.Error("keeping the current rules", "error", err)
		return again
	}
	fleet.LogChanges(s.log, before, now)
	s.keeper.wake.Send()
	return now.Changing || again
}

// rereader reads the configuration again.
type rereader struct {
	path      string
	read      func() (*config.Config, diag.List, error)
	stability fleet.Stability
	files     atomic.Pointer[[]string] // with secrets, of the last reading
	logged    string                   // the failure that was logged last
}

// stable reports whether no file is being written.
func (r *rereader) stable(path string, files []string) bool {
	ok := r.stability.Check(path)
	for _, f := range files {
		ok = r.stability.Check(f) && ok
	}
	return ok
}

// again reads the configuration. It returns nil if that has errors, which it logs; waits says
// that a file was still being written.
func (r *rereader) again(s *Service) (c *config.Config, waits bool) {
	if !r.stable(r.path, *r.files.Load()) {
		return nil, true
	}
	c, list, err := r.read()
	if err != nil {
		r.fail(s, err.Error(), "error", config.Plain(err))
		return nil, false
	}
	if c != nil {
		files := append([]string(nil), c.Files...)
		r.files.Store(&files)
		list = c.Usable(list)
	}
	if list.HasErrors() {
		r.fail(s, list.Err().Error(), "findings", findingLines(list))
		return nil, false
	}
	if r.logged != "" {
		r.logged = ""
		s.log.Info("configuration is valid again", "file", r.path)
	}
	return c, false
}

// fail logs why the current configuration is kept, the same reason once.
func (r *rereader) fail(s *Service, text string, attrs ...any) {
	if r.logged == text {
		return
	}
	r.logged = text
	s.log.Error("configuration is invalid, keeping the current one", append([]any{"file", r.path}, attrs...)...)
}

func findingLines(list diag.List) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.String()
	}
	return out
}
