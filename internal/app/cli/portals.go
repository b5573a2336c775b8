package cli

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
)

// selectAll is the value of --portal that selects all portals.
const selectAll = config.AllPortals

// portalsVar declares the flag --portal of a command that takes several portals. what says
// what it selects.
func portalsVar(fs *flag.FlagSet, portals *string, what string) {
	fs.StringVar(portals, "portal", "", what+" `NAME`; also NAME,NAME, tag=WORD or all")
}

// selectPortals returns the portals that the value of --portal selects, in the order of the
// configuration: names, tag=WORD or all, separated by commas. Without a value it returns all.
// Portals whose configuration has errors are among them.
func selectPortals(c *config.Config, text string) ([]string, error) {
	var names, tags []string
	tagged := map[string][]string{}
	add := func(name string, with []string) {
		names = append(names, name)
		for _, tag := range with {
			if tagged[tag] == nil {
				tags = append(tags, tag)
			}
			tagged[tag] = append(tagged[tag], name)
		}
	}
	for _, p := range c.Portals {
		add(p.Name, p.Tags)
	}
	for _, p := range c.Broken {
		add(p.Name, p.Tags)
	}
	if text == "" || text == selectAll {
		return names, nil
	}
	selected := map[string]bool{}
	for word := range strings.SplitSeq(text, ",") {
		tag, isTag := strings.CutPrefix(word, "tag=")
		switch {
		case isTag && tagged[tag] != nil:
			for _, name := range tagged[tag] {
				selected[name] = true
			}
		case isTag:
			return nil, unknownPortal(fmt.Sprintf("--portal: no portal has the tag %q", tag), tag, tags)
		case slices.Contains(names, word):
			selected[word] = true
		default:
			return nil, unknownPortal(fmt.Sprintf("--portal %q is not in the configuration", word), word, names)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !selected[name] }), nil
}

func unknownPortal(text, word string, known []string) error {
	if near := diag.Closest(word, known); near != "" {
		text += fmt.Sprintf(" (did you mean %s?)", near)
	}
	return &usageError{text: text}
}

// checkPortal refuses a value of --portal that selects a portal that the configuration does
// not have.
func checkPortal(c *config.Config, text string) error {
	_, err := selectPortals(c, text)
	return err
}

// portalNames are the portals that a checked value of --portal selects.
func portalNames(c *config.Config, text string) []string {
	names, _ := selectPortals(c, text)
	return names
}

// historyPortals are the portals that a value of --portal selects in the history, nil for all. A
// single name that the configuration does not have may be that of an earlier portal. Anything else
// that selects nothing is an error.
func historyPortals(c *config.Config, text string) ([]string, error) {
	if text == "" || text == selectAll {
		return nil, nil
	}
	names, err := selectPortals(c, text)
	if err != nil && isPortalName(text) {
		return []string{text}, nil
	}
	return names, err
}

// isPortalName reports whether a value of --portal can be the name of one portal.
func isPortalName(text string) bool { return !strings.ContainsAny(text, ",=") }

// onePortal returns the portal that the value of --portal selects. Without a value it is the
// only portal of the configuration. It prints the findings of a portal whose configuration has
// errors.
func onePortal(env environment, c *config.Config, text string) (string, error) {
	names, err := selectPortals(c, text)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", whichPortal(names)
	}
	return names[0], usablePortal(env, c, names[0])
}

func whichPortal(names []string) error {
	if len(names) > 5 {
		return usagef("which portal? --portal NAME selects one of %d", len(names))
	}
	return usagef("which portal? --portal %s", diag.Alternatives(names))
}

// usablePortal prints the findings of a portal whose configuration has errors, and refuses it.
func usablePortal(env environment, c *config.Config, name string) error {
	if b := c.BrokenPortal(name); b != nil {
		return printFindings(env, b.Findings)
	}
	return nil
}

// eachPortal calls do with the name of each portal that the value of --portal selects, one
// after another. An error of one does not stop the others; the worst one decides. A command
// that writes needs a confirmation of all.
func eachPortal(env environment, c *config.Config, text string, confirmed bool, do func(name string) error) error {
	names, err := selectPortals(c, text)
	switch {
	case err != nil:
		return err
	case text == "" && len(names) != 1:
		return whichPortal(names)
	case text == selectAll && !confirmed:
		return usagef("--portal all writes to %s: add --yes", report.Plural(len(names), "portal", "portals"))
	case len(names) == 1:
		if err := usablePortal(env, c, names[0]); err != nil {
			return err
		}
		return do(names[0])
	}
	var found, failed []string
	for _, name := range names {
		err := usablePortal(env, c, name)
		if err == nil {
			err = do(name)
		}
		switch {
		case err == nil:
		case errors.Is(err, errFindings):
			found = append(found, name)
		default:
			env.say("portal %s: %v", name, env.redactor.Error(err))
			failed = append(failed, name)
		}
	}
	switch {
	case len(failed) > 0:
		return fmt.Errorf("%d of %d portals failed: %s", len(failed), len(names), strings.Join(failed, ", "))
	case len(found) > 0:
		return errFindings
	}
	return nil
}
