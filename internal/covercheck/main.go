// Command covercheck fails when the tests of a package reach too little of it.
//
//	go test -cover ./engine/... | go run ./internal/covercheck
//
// It reads the output of go test from standard input. Only a package's own tests
// count. The emulator is one package with its internal ones: its tests ask it over
// HTTP, as its users do.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/b24rules/b24rules/"

// targets are percentages of statements for folders with all their packages.
var targets = map[string]float64{
	"engine":            85,
	"emulator":          70,
	"internal/ruletest": 70,
}

// floors are packages below their target, with the coverage that they must keep.
// When you add tests, raise the floor; remove it when the package meets its target.
var floors = map[string]float64{}

func main() {
	if err := run(os.Stdin, os.Stdout, floors); err != nil {
		fmt.Fprintln(os.Stderr, "covercheck:", err)
		os.Exit(1)
	}
}

// line is one package of go test -cover. A package without test files has no "ok".
var line = regexp.MustCompile(`^(?:ok)?\s+` + regexp.QuoteMeta(module) + `(\S+)\s.*coverage: ([0-9.]+)% of statements`)

// run prints a table of the packages in r and returns an error when one is below
// its floor, when a test failed, or when a package with a floor is missing.
func run(r io.Reader, w io.Writer, floors map[string]float64) error {
	var problems []string
	seen := map[string]bool{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		text := scanner.Text()
		m := line.FindStringSubmatch(text)
		if m == nil {
			fmt.Fprintln(w, text)
			if strings.HasPrefix(text, "FAIL") {
				problems = append(problems, text)
			}
			continue
		}
		got, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return err
		}
		name := m[1]
		seen[name] = true
		least, target := floorOf(name, floors)
		verdict := ""
		switch {
		case got < least:
			verdict = "too low"
			problems = append(problems, fmt.Sprintf("%s: %.1f %%, need %.0f %%", name, got, least))
		case least < target && got >= target:
			verdict = "meets the target: remove its floor"
		case least < target:
			verdict = fmt.Sprintf("target %.0f", target)
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-32s %5.1f %%  floor %3.0f  %s", name, got, least, verdict), " "))
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if len(seen) == 0 {
		problems = append(problems, "no package in the input")
	}
	for name := range floors {
		if !seen[name] {
			problems = append(problems, name+" has a floor and is not in the input")
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("%s", strings.Join(problems, "\n"))
}

// floorOf returns the least coverage of a package and its target. Both are 0 for a
// package without a target.
func floorOf(name string, floors map[string]float64) (least, target float64) {
	for folder, percent := range targets {
		if name == folder || strings.HasPrefix(name, folder+"/") {
			target = percent
		}
	}
	if own, ok := floors[name]; ok {
		return own, target
	}
	return target, target
}
