package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/probe"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// prepare reads the files that the options name.
func (o *emulatorOptions) prepare(env environment) (seed *testportal.Seed, faults []emulator.Fault, err error) {
	if o.seed != "" {
		if seed, err = readFindings(env, o.seed, testportal.ReadSeed); err != nil {
			return nil, nil, err
		}
	}
	if o.faults != "" {
		faults, err = readFindings(env, o.faults, emulator.ParseFaults)
	}
	return seed, faults, err
}

// report reads the report of a probe, nil without one.
func (o *emulatorOptions) report() (*probe.Report, error) {
	if o.like == "" {
		return nil, nil
	}
	data, err := yamlfile.ReadFile(o.like)
	if err != nil {
		return nil, fmt.Errorf("cannot read %w", config.Plain(err))
	}
	r, err := probe.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.like, err)
	}
	return r, nil
}

// readFindings reads a file and prints its findings.
func readFindings[T any](env environment, path string, read func(string, []byte) (T, diag.List)) (v T, err error) {
	data, err := yamlfile.ReadFile(path)
	if err != nil {
		return v, fmt.Errorf("cannot read %w", config.Plain(err))
	}
	v, list := read(path, data)
	if err := diag.WriteText(env.Err, list, func(string) []byte { return data }, report.UsesColor(env.Err)); err != nil {
		return v, err
	}
	if list.HasErrors() {
		return v, errFindings
	}
	return v, nil
}

// parseLatency reads --latency: the time of a request, optionally the time of a
// command, and optionally the variation of both: 60ms+15ms~20%.
func parseLatency(text string) (l emulator.Latency, err error) {
	times, jitter, varies := strings.Cut(text, "~")
	request, command, each := strings.Cut(times, "+")
	l.Request, err = time.ParseDuration(request)
	if err == nil && each {
		l.Command, err = time.ParseDuration(command)
	}
	if err == nil && varies {
		var percent float64
		percent, err = strconv.ParseFloat(strings.TrimSuffix(jitter, "%"), 64)
		if l.Jitter = percent / 100; !strings.HasSuffix(jitter, "%") || !(l.Jitter >= 0 && l.Jitter <= 1) {
			err = strconv.ErrRange
		}
	}
	if err != nil || l.Request < 0 || l.Command < 0 {
		return emulator.Latency{}, usagef("--latency %q: want the time of a request, optionally the time of a command and a variation, such as 60ms or 60ms+15ms~20%%", text)
	}
	return l, nil
}

// seeded describes the data of a seed.
func seeded(path string, seed *testportal.Seed) string {
	items, elements := seed.Counts()
	parts := []string{report.Plural(items[2], "deal", "deals"), report.Plural(items[31], "invoice", "invoices")}
	var types []int
	for typ := range items {
		if typ != 2 && typ != 31 {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	for _, typ := range types {
		parts = append(parts, report.Plural(items[typ], fmt.Sprintf("item of type %d", typ), fmt.Sprintf("items of type %d", typ)))
	}
	return fmt.Sprintf("%s: %s, %s", path, strings.Join(parts, ", "), report.Plural(elements, "element", "elements"))
}
