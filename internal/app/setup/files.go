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
	// Optional files are not written where one with their name exists.
	Optional bool
}

// Present splits files into the optional ones that a folder has already and the others.
func Present(dir string, files []File) (present, others []File) {
	for _, f := range files {
		if f.Optional && len(Conflicts(dir, []File{f})) > 0 {
			present = append(present, f)
		} else {
			others = append(others, f)
		}
	}
	return present, others
}

// Writable tries whether files can be made in a folder, which need not exist yet. It leaves nothing.
func Writable(dir string) error {
	made, err := makeFolder(dir)
	if err == nil {
		var temp string
		if temp, err = os.MkdirTemp(dir, ".b24rules-init-*"); err == nil {
			err = os.Remove(temp)
		}
	}
	if removed := removeEmpty(made); err == nil {
		return removed
	}
	return unwritten(dir, err)
}

// unwritten says that nothing was written to a folder, and why. It does not name
// files that never were.
func unwritten(dir string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("%s cannot be written to, so nothing was written: %w", dir, err)
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
func Write(dir string, files []File) error {
	if found := Conflicts(dir, files); len(found) > 0 {
		return fmt.Errorf("%s exists already in %s: choose another folder", strings.Join(found, ", "), dir)
	}
	made, err := makeFolder(dir)
	if err != nil {
		return unwritten(dir, errors.Join(err, removeEmpty(made)))
	}
	temp, err := os.MkdirTemp(dir, ".b24rules-init-*")
	if err != nil {
		return unwritten(dir, errors.Join(err, removeEmpty(made)))
	}
	moved, folders, err := move(temp, dir, files)
	made = append(made, folders...)
	if removed := os.RemoveAll(temp); err == nil {
		return removed
	}
	var errs []error
	for _, f := range moved {
		errs = append(errs, os.Remove(f))
	}
	return unwritten(dir, errors.Join(err, errors.Join(errs...), removeEmpty(made)))
}

// move writes the files to the folder temp and moves them to dir. It returns what it has
// made in dir, also after an error.
func move(temp, dir string, files []File) (moved, folders []string, err error) {
	for _, f := range files {
		if err := writeFile(temp, f); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range files {
		from, to := filepath.Join(temp, filepath.FromSlash(f.Path)), filepath.Join(dir, filepath.FromSlash(f.Path))
		made, err := makeFolder(filepath.Dir(to))
		folders = append(folders, made...)
		if err == nil {
			// A link never replaces a file that somebody has made in the meantime.
			if err = os.Link(from, to); errors.Is(err, errors.ErrUnsupported) {
				err = os.Rename(from, to)
			}
		}
		if err != nil {
			return moved, folders, err
		}
		moved = append(moved, to)
	}
	return moved, folders, nil
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
