package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a file to write. Path is relative to the folder, with slashes.
type File struct {
	Path string
	Data []byte
	// Secret files are only readable by their owner.
	Secret bool
}

// Conflicts returns the files that exist in a folder already.
func Conflicts(dir string, files []File) []string {
	var out []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path))); err == nil {
			out = append(out, f.Path)
		}
	}
	return out
}

// Write writes all files or none. It replaces no file. The files are written to a hidden
// folder first and then moved, so an interrupted command leaves nothing half-written.
func Write(dir string, files []File) (err error) {
	if found := Conflicts(dir, files); len(found) > 0 {
		return fmt.Errorf("%s exists already in %s: choose another folder", strings.Join(found, ", "), dir)
	}
	made, err := makeFolder(dir)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, ".b24rules-init-*")
	if err != nil {
		return errors.Join(err, removeEmpty(made))
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for _, f := range files {
		if err := writeFile(temp, f); err != nil {
			return errors.Join(err, removeEmpty(made))
		}
	}
	var moved, folders []string
	for _, f := range files {
		to := filepath.Join(dir, filepath.FromSlash(f.Path))
		more, err := makeFolder(filepath.Dir(to))
		folders = append(folders, more...)
		if err == nil {
			// A link never replaces a file that somebody has made in the meantime.
			if err = os.Link(filepath.Join(temp, filepath.FromSlash(f.Path)), to); errors.Is(err, errors.ErrUnsupported) {
				err = os.Rename(filepath.Join(temp, filepath.FromSlash(f.Path)), to)
			}
		}
		if err != nil {
			return errors.Join(err, undo(moved, append(made, folders...)))
		}
		moved = append(moved, to)
	}
	return nil
}

// undo removes what Write has made.
func undo(files, folders []string) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, os.Remove(f))
	}
	return errors.Join(append(errs, removeEmpty(folders))...)
}

// makeFolder makes a folder and returns the folders that did not exist, outermost first.
func makeFolder(dir string) (made []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	slices.Reverse(made)
	return made, os.MkdirAll(dir, 0o755)
}

// removeEmpty removes folders, the innermost first.
func removeEmpty(folders []string) error {
	var errs []error
	for _, d := range slices.Backward(folders) {
		errs = append(errs, os.Remove(d))
	}
	return errors.Join(errs...)
}

func writeFile(dir string, f File) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if f.Secret {
		mode = 0o600
	}
	return os.WriteFile(path, f.Data, mode)
}
