package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// question is one of the questions of the person on call: one command answers it, and these pages,
// each of which is one click further.
type question struct {
	text    string
	command []string
	want    string   // in the answer of the command
	clicks  []string // the first page is where the person starts
	page    string   // in the last page
}

// onCall are the four questions, about the data of fill.
func onCall(runs int, now time.Time) []question {
	run := (runs - 1) / parkedEach * parkedEach // the newest that is parked
	event := run + (run-1)/10
	portal, entity := pagePortal(event%pagePortals), fmt.Sprintf("deal:%d", event%5000)
	at := now.Add(-30 * 24 * time.Hour).Add(time.Duration(event) * (30 * 24 * time.Hour / time.Duration(eventsFor(runs))))
	from, until := at.Add(-30*time.Minute).UTC().Format("2006-01-02T15:04:05Z"), at.Add(30*time.Minute).UTC().Format("2006-01-02T15:04:05Z")
	page := fmt.Sprintf("/runs/%d", run)
	return []question{
		{
			"why is the list of a deal wrong",
			[]string{"runs", "list", "--portal", portal, "--entity", entity},
			"ACCESS_DENIED",
			[]string{"/portals", "/runs", "/runs?portal=" + portal + "&entity=" + entity, page},
			"ACCESS_DENIED",
		},
		{
			"which rule wrote this field",
			[]string{"why", "--portal", "portal-7", "element:47:12", "NAME"},
			"total",
			[]string{"/portals", "/why", "/why?portal=portal-7&of=element:47:12&field=NAME"},
			"written by total",
		},
		{
			"what failed between two and three",
			[]string{"runs", "list", "--by", "cause", "--from", from, "--until", until},
			"lists.element.get",
			[]string{"/portals", "/runs?state=parked&group=cause", "/runs?state=parked&group=cause&from=" + from + "&to=" + until, page},
			"ACCESS_DENIED",
		},
		{"is anything stuck", []string{"status"}, "need attention", []string{"/portals"}, "need a look"},
	}
}

// ask asks the questions in a terminal, and returns how long each takes.
func ask(ctx context.Context, b *bench, dsn string, all []question) ([]time.Duration, error) {
	dir, err := os.MkdirTemp(b.dir, "questions-")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		return nil, err
	}
	const rule = "version: 1\nrules:\n  total:\n    on: [ONCRMDEALUPDATE]\n    steps: [{id: deal, fetch_item: {owner: deal, id: =event.id}}]\n"
	if err := os.WriteFile(filepath.Join(dir, "rules", "r.yaml"), []byte(rule), 0o600); err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "database: %q\nrules: [rules]\nportals:\n", dsn)
	for i := range pagePortals {
		fmt.Fprintf(&text, "  %s: {webhook: \"https://%s.example/rest/1/code%d/\", application_token: token%d}\n", pagePortal(i), pagePortal(i), i, i)
	}
	file := filepath.Join(dir, "b24rules.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	var out []time.Duration
	for _, q := range all {
		at := time.Now()
		answer, err := exec.CommandContext(ctx, b.binary, append(q.command, "--config", file)...).CombinedOutput()
		out = append(out, time.Since(at))
		var code *exec.ExitError
		if errors.As(err, &code) && code.ExitCode() == 1 {
			err = nil // status has found something
		}
		if err != nil || !strings.Contains(string(answer), q.want) {
			return nil, fmt.Errorf("b24rules %s: %w, without %q:\n%.2000s", strings.Join(q.command, " "), err, q.want, answer)
		}
	}
	return out, nil
}
