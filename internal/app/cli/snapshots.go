package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/lint"
	"github.com/b24rules/b24rules/engine/load"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/snapshot"
)

// knownPortals are the portals that rule files are checked for: by the paths of their
// snapshots.
type knownPortals struct {
	// schema is the snapshot for all files; "" means those next to the files.
	schema string
	// inputs are those of the configuration by portals, nil without one.
	inputs map[string]map[string]map[string]string
	byPath map[string]*engine.Known
	// found are the paths of the snapshots by the folders of rule files.
	found map[string][]string
}

// newKnownPortals reads the inputs of the configuration at configPath, "" for none. Its
// findings do not matter: the secrets of portals may be elsewhere.
func newKnownPortals(schema, configPath string) (*knownPortals, error) {
	k := &knownPortals{schema: schema, byPath: map[string]*engine.Known{}, found: map[string][]string{}}
	if configPath == "" {
		return k, nil
	}
	c, _, err := config.Read(configPath)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read %w", config.Plain(err))
	case c == nil:
		return nil, fmt.Errorf("%s is no configuration: `b24rules doctor --config %s` says why", configPath, configPath)
	}
	k.use(c)
	return k, nil
}

// use takes the inputs of a configuration.
func (k *knownPortals) use(c *config.Config) {
	k.inputs = map[string]map[string]map[string]string{}
	for _, p := range c.Portals {
		k.inputs[p.Name] = p.Inputs.Texts()
	}
}

// of returns the portals that a rule file is checked for. A nil k knows none.
func (k *knownPortals) of(file string) ([]*engine.Known, error) {
	if k == nil {
		return nil, nil
	}
	paths := []string{k.schema}
	if k.schema == "" {
		folder := filepath.Dir(file)
		var searched bool
		if paths, searched = k.found[folder]; !searched {
			var err error
			if paths, err = snapshot.Find(folder); err != nil {
				return nil, config.Plain(err)
			}
			k.found[folder] = paths
		}
	}
	var out []*engine.Known
	for _, path := range paths {
		if k.byPath[path] == nil {
			s, err := snapshot.Read(path)
			if err != nil {
				return nil, config.Plain(err)
			}
			k.byPath[path] = k.known(s)
		}
		out = append(out, k.byPath[path])
	}
	return out, nil
}

// known returns what is known of a portal.
func (k *knownPortals) known(s *snapshot.Snapshot) *engine.Known {
	out := &engine.Known{Snapshot: s}
	if k.inputs != nil {
		out.Inputs = k.inputs[s.Portal]
	}
	return out
}

// loadKnown compiles a rule file and adds the findings for portals. A finding that several
// portals have is listed once, and a warning about a name or a value that a portal explains is
// left to the portal.
func loadKnown(name string, data []byte, actions []*engine.Action, portals []*engine.Known) (*engine.RuleSet, *lint.Summary, diag.List) {
	set, summary, list := load.Summarized(name, data, actions)
	var explained diag.List
	for _, p := range portals {
		_, found := load.FileFor(name, data, actions, p)
		for _, f := range found {
			if !hasFinding(list, f) && !hasFinding(explained, f) {
				explained.Add(f)
			}
		}
	}
	list = slices.DeleteFunc(list, func(f diag.Finding) bool {
		return f.Severity != diag.Error && slices.ContainsFunc(explained, func(g diag.Finding) bool {
			return g.Pos == f.Pos && (g.Code == f.Code || g.Code == "unknown-item-field" && f.Code == "doubtful-field")
		})
	})
	list = append(list, explained...)
	list.Sort()
	return set, summary, list
}

func hasFinding(list diag.List, f diag.Finding) bool {
	return slices.ContainsFunc(list, func(g diag.Finding) bool { return g.Pos == f.Pos && g.Code == f.Code && g.Text() == f.Text() })
}

// snapshotPath is where the snapshot of a portal is: next to the rules of the configuration.
func snapshotPath(c *config.Config, portal string) string {
	folder := c.Rules[0]
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		folder = filepath.Dir(folder)
	}
	return filepath.Join(folder, snapshot.FileName(portal))
}
