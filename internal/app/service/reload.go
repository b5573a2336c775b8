package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/lease"
	"github.com/b24rules/b24rules/internal/reload"
	"github.com/b24rules/b24rules/internal/wakeup"
)

// Watch logs the rule sets that run. It loads the configuration and the rules again when
// their files and folders change, or when a signal arrives, until end is called.
func (s *Service) Watch(ctx context.Context, reload <-chan os.Signal) (end func(), err error) {
	logNotes(s.log, nil, s.config.Load())
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
		if folder := s.config.Load().Folder; folder != "" {
			paths = append(paths, folder)
		}
	}
	return paths
}

// Reload loads the configuration and the rules again. It reports whether a file was still
// being written, so that it must be called again.
func (s *Service) Reload() (again bool) {
	_, again = s.reload(false)
	return again
}

// outcome is the answer of a reload, and what of it alerts are about.
type outcome struct {
	reload.Answer
	// kept are why the whole configuration or all rules stay as they were. Other
	// alerts are about rule files and portals that do not run.
	kept []string
	// older are the portals whose configuration has errors, so that their older one runs.
	older []config.BrokenPortal
}

// keep adds reasons why all stays as it was.
func (o *outcome) keep(reasons ...string) {
	o.Refused = append(o.Refused, reasons...)
	o.kept = append(o.kept, reasons...)
}

// reload is Reload, and returns what has changed and what on disk does not run. With
// confirmed, many portals may be removed.
func (s *Service) reload(confirmed bool) (a reload.Answer, again bool) {
	s.changing.Lock()
	o, again := s.load(confirmed)
	s.changing.Unlock()
	if !again {
		s.outcome.Store(&o)
	}
	s.looks.add(context.Background())
	s.ticks.add(context.Background())
	s.drifts.add(context.Background())
	s.rights.add(context.Background())
	return o.Answer, again
}

func (s *Service) load(confirmed bool) (a outcome, again bool) {
	a.Process = lease.Process()
	for _, p := range s.portals.all() { // new rules may be about new fields
		p.Client.ForgetFields(time.Now())
	}
	if s.reread != nil {
		c, refused, waits := s.reread.again(s)
		a.keep(refused...)
		again = waits
		if c != nil {
			if applied, changing := s.apply(c, confirmed, &a); applied {
				return a, changing
			}
		}
	}
	before, now, err := s.rules.Load()
	if err != nil {
		s.log.Error("keeping the current rules", "error", err)
		a.keep(fmt.Sprintf("the rules: %v", err))
		return a, again
	}
	s.rulesLoaded(before, now, &a)
	return a, now.Changing || again
}

// rulesLoaded tells the log, the answer and the keeper of a load of the rules.
func (s *Service) rulesLoaded(before, now *fleet.Generation, a *outcome) {
	a.Changes = append(a.Changes, fleet.LogChanges(s.log, before, now)...)
	var texts []string
	portals := map[string][]string{}
	for _, r := range now.Refused() {
		text := r.Reason() + ": its last valid version runs"
		if r.Running == "" {
			text = r.Reason() + ": no version of it runs"
		}
		if portals[text] == nil {
			texts = append(texts, text)
		}
		portals[text] = append(portals[text], r.Portal)
	}
	for _, text := range texts {
		a.Refused = append(a.Refused, fmt.Sprintf("%s (portal %s)", text, fewNames(portals[text])))
	}
	s.keeper.wake.Send()
}

const (
	// askedEvery is how often a process looks whether a person asks for a reload.
	askedEvery = time.Second
	// writingFor is how long such a reload waits for files that are being written.
	writingFor = 10 * time.Second
)

// answerReloads reloads whenever 'b24rules reload' asks for it, until ctx ends.
func (s *Service) answerReloads(ctx context.Context) {
	answered, failed := map[string]bool{}, false
	for {
		err := s.answerNew(ctx, reload.New(s.queue.Database()), answered)
		if err != nil && ctx.Err() == nil && !failed {
			s.log.Error("cannot answer a request to load the rules again, trying again", "error", err)
		}
		failed = err != nil
		if wakeup.Sleep(ctx, askedEvery) != nil {
			return
		}
	}
}

// answerNew answers the requests that are not answered yet.
func (s *Service) answerNew(ctx context.Context, table *reload.Table, answered map[string]bool) error {
	all, err := table.Requests(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if answered[r.ID] {
			continue
		}
		s.log.Info("asked to load the configuration and the rules again", "by", r.By)
		if err := table.Answer(ctx, r.ID, s.reloadWritten(ctx, r.Confirmed)); err != nil {
			return err
		}
		answered[r.ID] = true
	}
	return nil
}

// reloadWritten reloads, and waits for files that are still being written.
func (s *Service) reloadWritten(ctx context.Context, confirmed bool) reload.Answer {
	began := time.Now()
	for {
		a, again := s.reload(confirmed)
		if !again {
			return a
		}
		if time.Since(began) > writingFor || ctx.Err() != nil {
			a.Refused = append(a.Refused, "a file is still being written")
			return a
		}
		select {
		case <-ctx.Done():
		case <-time.After(fleet.QuietTime):
		}
	}
}

// CheckMade is fleet.Rules.CheckMade for the rules of the service.
func (s *Service) CheckMade(ctx context.Context, partial bool) (diag.List, error) {
	before, err := s.keeper.store.Before(ctx)
	if err != nil {
		return nil, err
	}
	return s.rules.CheckMade(s.keeper.ledger, before, partial)
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

// again reads the configuration. c is nil if that has errors, which it logs and returns; waits
// says that a file was still being written.
func (r *rereader) again(s *Service) (c *config.Config, refused []string, waits bool) {
	files := slices.Clone(*r.files.Load())
	if folder := s.config.Load().Folder; folder != "" {
		added, _, _ := config.PortalFiles(folder) // read reports a folder that is not there
		files = append(files, added...)
	}
	if !r.stable(r.path, files) {
		return nil, nil, true
	}
	c, list, err := r.read()
	if err != nil {
		err = config.Plain(err)
		r.fail(s, err.Error(), "error", err)
		return nil, []string{err.Error()}, false
	}
	if c != nil {
		r.files.Store(&c.Files)
		list = c.Usable(list)
	}
	if list.HasErrors() {
		r.fail(s, list.Err().Error(), "findings", findingLines(list))
		return nil, findingLines(list), false
	}
	if r.logged != "" {
		r.logged = ""
		s.log.Info("configuration is valid again", "file", r.path)
	}
	return c, nil, false
}

// fail logs why the current configuration is kept, the same reason once.
func (r *rereader) fail(s *Service, text string, attrs ...any) {
	if r.logged == text {
		return
	}
	r.logged = text
	s.log.Error("configuration is invalid, keeping the current one", append([]any{"file", r.path}, attrs...)...)
}

// logNotes logs the findings of a configuration that are no errors. was is the configuration
// before, nil at the start.
func logNotes(log *slog.Logger, was, now *config.Config) {
	if was != nil && slices.Equal(findingLines(was.Notes), findingLines(now.Notes)) {
		return
	}
	for _, f := range now.Notes {
		log.Warn("configuration", "finding", f.String())
	}
}

func findingLines(list diag.List) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.String()
	}
	return out
}
