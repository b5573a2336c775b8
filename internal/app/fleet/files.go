package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// RuleFile is the text of one rule file.
type RuleFile struct {
	Name string
	Data []byte
	// Changing says that the file is still being written. Data is its last text; nil for
	// a new file.
	Changing bool
}

// RuleSource reads the current rule files.
type RuleSource func() ([]RuleFile, error)

// IsRuleFile reports whether a name is one of a rule file, and not of a rule test.
func IsRuleFile(name string) bool {
	return yamlfile.Ext(name) != "" && !strings.HasSuffix(yamlfile.Stem(name), "_test")
}

// FilesOf returns the source for files and folders on disk. Its first call takes each file at
// once, later ones do not take a file that is still being written. It is safe for concurrent use.
func FilesOf(paths []string) RuleSource {
	var mu sync.Mutex
	stability := &Stability{}
	texts := map[string][]byte{}
	return func() ([]RuleFile, error) {
		mu.Lock()
		defer mu.Unlock()
		names, err := FindRuleFiles(paths)
		if err != nil {
			return nil, err
		}
		var out []RuleFile
		for _, name := range names {
			if !stability.Check(name) {
				out = append(out, RuleFile{name, texts[name], true})
				continue
			}
			data, err := yamlfile.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it was removed after the listing
			}
			if err != nil {
				return nil, err
			}
			if !stability.Check(name) { // it was changed while it was read
				out = append(out, RuleFile{name, texts[name], true})
				continue
			}
			texts[name] = data
			out = append(out, RuleFile{Name: name, Data: data})
		}
		stability.Strict()
		return keepRemoved(out, texts), nil
	}
}

// keepRemoved adds the files that are missing while another one is still being written: a file may
// just get another name, and until the new one is read its rules would not run. When no file is
// being written, it forgets the texts of missing files.
func keepRemoved(files []RuleFile, texts map[string][]byte) []RuleFile {
	changing := slices.ContainsFunc(files, func(f RuleFile) bool { return f.Changing })
	for name, text := range texts {
		if slices.ContainsFunc(files, func(f RuleFile) bool { return f.Name == name }) {
			continue
		}
		if !changing {
			delete(texts, name)
			continue
		}
		files = append(files, RuleFile{name, text, true})
	}
	slices.SortFunc(files, func(a, b RuleFile) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// FilesIn returns the source for files that do not change, such as the included ones.
func FilesIn(fsys fs.FS) RuleSource {
	return func() ([]RuleFile, error) {
		entries, err := fs.ReadDir(fsys, ".")
		if err != nil {
			return nil, err
		}
		var out []RuleFile
		for _, e := range entries {
			if e.IsDir() || !IsRuleFile(e.Name()) {
				continue
			}
			data, err := fs.ReadFile(fsys, e.Name())
			if err != nil {
				return nil, err
			}
			out = append(out, RuleFile{Name: e.Name(), Data: data})
		}
		return out, nil
	}
}

// FindRuleFiles lists the rule files of paths, sorted, each once. A path may be a
// file with any name, or a folder. Of a folder, the rule files in it and in the
// folders below are listed, except in folders that have a file named IgnoreFile.
func FindRuleFiles(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, filepath.Clean(p))
			continue
		}
		found, err := walkRuleFiles(p)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func walkRuleFiles(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && (hidden(d.Name()) || ignored(path)) {
				return filepath.SkipDir
			}
		case hidden(d.Name()) || !IsRuleFile(d.Name()):
		default:
			info, err := os.Stat(path) // of the file that a link leads to: mounted configurations often consist of links
			if err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				out = append(out, path)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the folder %s: %w", root, err)
	}
	return out, nil
}

// IgnoreFile is the name of a file in a folder whose rule files are read only when a path
// leads to it: those of the catalogue are for copying.
const IgnoreFile = ".b24rulesignore"

// ignored reports whether a folder has an IgnoreFile.
func ignored(folder string) bool {
	_, err := os.Lstat(filepath.Join(folder, IgnoreFile))
	return err == nil
}

// hidden names are those of editors and version control.
func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// SetName is the name of the rule set in a file, under which its inputs are
// configured.
func SetName(path string) string { return yamlfile.Stem(path) }
