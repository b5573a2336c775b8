package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// steadily posts events at a steady rate, in a process that does nothing else: the portals of this
// program need the CPU for a moment now and then, and the times of the answers would include it.
type steadily struct {
	hook        string // "" posts nothing
	rate, deals int    // events a second, and of how many deals
}

func (s *steadily) flags() {
	flag.StringVar(&s.hook, "post", "", "post events to `HOOK`, -rate a second of -deals deals, and print the times of the answers")
	flag.IntVar(&s.rate, "rate", 10, "for -post")
	flag.IntVar(&s.deals, "deals", 1, "for -post")
}

// number is how many events it posts.
func (s steadily) number() int { return s.rate * int(steadyTime/time.Second) }

// start runs the process.
func (s steadily) start(ctx context.Context) (answers, error) {
	program, err := os.Executable()
	if err != nil {
		return answers{}, err
	}
	cmd := exec.CommandContext(ctx, program, "-post", s.hook, "-rate", fmt.Sprint(s.rate), "-deals", fmt.Sprint(s.deals))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return answers{}, fmt.Errorf("post events: %w", err)
	}
	var a answers
	err = json.Unmarshal(out, &a.took)
	return a, err
}

// main is the main function of the process. It posts each event at its time, also while others
// wait for their answers.
func (s steadily) main(ctx context.Context) error {
	client := newPoster(64)
	defer client.CloseIdleConnections()
	n := s.number()
	took, errs := make([]time.Duration, n), make([]error, n)
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	defer tick.Stop()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			sent := time.Now()
			errs[i] = postOne(ctx, client, s.hook, i%s.deals+1)
			took[i] = time.Since(sent)
		})
		<-tick.C
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(took)
}
