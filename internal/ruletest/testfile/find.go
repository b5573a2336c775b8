package testfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/internal/yamlfile"
)

// Find returns the test files of paths, and the rule files of folders, which count for
// the coverage even without a test. A folder means all files below it except those whose
// name starts with a dot. A rule file means its test file.
func Find(paths []string) (tests, rules []string, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			return nil, nil, err
		case info.IsDir():
			t, r, err := walk(p)
			if err != nil {
				return nil, nil, err
			}
			tests, rules = append(tests, t...), append(rules, r...)
		case IsTestFile(p):
			tests = append(tests, filepath.Clean(p))
		default:
			testFile := testFileOf(p)
			if _, err := os.Stat(testFile); errors.Is(err, fs.ErrNotExist) {
				return nil, nil, fmt.Errorf("%s has no tests: %s does not exist", p, testFile)
			}
			tests = append(tests, filepath.Clean(testFile))
		}
	}
	slices.Sort(tests)
	slices.Sort(rules)
	return slices.Compact(tests), slices.Compact(rules), nil
}

func testFileOf(path string) string {
	ext := cmp.Or(yamlfile.Ext(path), filepath.Ext(path))
	return strings.TrimSuffix(path, ext) + "_test" + ext
}

func walk(root string) (tests, rules []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return filepath.SkipDir
		case hidden || d.IsDir() || yamlfile.Ext(path) == "":
		case IsTestFile(path):
			tests = append(tests, path)
		default:
			rules = append(rules, path)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the folder %s: %w", root, err)
	}
	return tests, rules, nil
}
