package service

import (
	"context"
	"os"

	"github.com/b24rules/b24rules/internal/app/fleet"
)

// Watch logs the rule sets that run. It loads the rules again when their files and
// folders change, or when a signal arrives, until end is called.
func (s *Service) Watch(ctx context.Context, reload <-chan os.Signal) (end func(), err error) {
	fleet.LogChanges(s.log, nil, s.rules.Current())
	w, err := fleet.NewWatcher(func() []string { return s.config.Rules }, s.Reload, s.log)
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

// Reload loads the rules again. It reports whether a file was still being written, so that
// it must be called again.
func (s *Service) Reload() (again bool) {
	before, now, err := s.rules.Load()
	if err != nil {
		s.log.Error("keeping the current rules", "error", err)
		return false
	}
	fleet.LogChanges(s.log, before, now)
	s.keeper.wake.Send()
	return now.Changing
}
