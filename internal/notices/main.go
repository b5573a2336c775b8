// Command notices prints the licences of all modules that b24rules links, as Markdown.
//
//	go run ./internal/notices > THIRD_PARTY_NOTICES.md
//
// It reads the licence files from the module cache.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// program is the package whose modules are listed.
const program = "github.com/b24rules/b24rules/cmd/b24rules"

// systems are the operating systems for which it is built. Some modules are linked on
// one of them only.
var systems = []string{"darwin", "linux", "windows"}

// fileName matches the files in which modules keep licences and notices.
var fileName = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice)([-.][a-z0-9_.-]*)?$`)

// module is one linked module with the folders of its linked packages.
type module struct {
	name    string // with its version
	dir     string
	folders []string
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	modules, err := linked()
	if err != nil {
		return err
	}
	return write(w, modules)
}

// linked returns the modules of the program, sorted by name, and the standard
// library first.
func linked() ([]module, error) {
	root, err := goCommand("", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	byName := map[string]*module{}
	for _, system := range systems {
		out, err := goCommand(system, "list", "-deps", "-json=Dir,Module", program)
		if err != nil {
			return nil, err
		}
		for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
			var p struct {
				Dir    string
				Module *struct {
					Path, Version, Dir string
					Main               bool
				}
			}
			if err := dec.Decode(&p); err != nil {
				return nil, err
			}
			if p.Module == nil || p.Module.Main {
				continue
			}
			name := p.Module.Path + " " + p.Module.Version
			if byName[name] == nil {
				byName[name] = &module{name: name, dir: p.Module.Dir}
			}
			byName[name].folders = append(byName[name].folders, p.Dir)
		}
	}
	all := []module{{name: "the Go standard library", dir: strings.TrimSpace(root)}}
	for _, m := range byName {
		all = append(all, *m)
	}
	slices.SortFunc(all[1:], func(a, b module) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// goCommand runs the go command for an operating system, or for this one.
func goCommand(system string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = os.Environ()
	if system != "" {
		cmd.Env = append(cmd.Env, "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// files returns the licence files of a module: those in its root and in the folders
// from there to its linked packages.
func (m module) files() ([]string, error) {
	folders := []string{m.dir}
	for _, folder := range m.folders {
		for folder != m.dir && strings.HasPrefix(folder, m.dir) {
			folders = append(folders, folder)
			folder = filepath.Dir(folder)
		}
	}
	slices.Sort(folders)
	var out []string
	for _, folder := range slices.Compact(folders) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && fileName.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				out = append(out, filepath.Join(folder, e.Name()))
			}
		}
	}
	return out, nil
}

// notice is a text with the files that hold it.
type notice struct {
	text  string
	files []string
}

// notices returns the different texts of all modules in the order of the modules.
func notices(modules []module) ([]notice, error) {
	var out []notice
	for _, m := range modules {
		files, err := m.files()
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no licence file", m.name)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(m.dir, file)
			if err != nil {
				return nil, err
			}
			name = m.name + ": " + filepath.ToSlash(name)
			text := strings.Trim(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
			i := slices.IndexFunc(out, func(n notice) bool { return n.text == text })
			if i < 0 {
				out = append(out, notice{text: text})
				i = len(out) - 1
			}
			out[i].files = append(out[i].files, name)
		}
	}
	return out, nil
}

func write(w io.Writer, modules []module) error {
	list, err := notices(modules)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Third-party notices\n\nb24rules links the modules below on Linux, macOS or Windows. The Go module proxy has the source of each\n" +
		"under its path and version. `make notices` writes this file.\n")
	for _, n := range list {
		b.WriteString("\n## " + n.files[0] + "\n\n")
		if len(n.files) > 1 {
			b.WriteString("The same text holds for:\n\n")
			for _, file := range n.files[1:] {
				b.WriteString("- " + file + "\n")
			}
			b.WriteString("\n")
		}
		b.WriteString("~~~~~~text\n" + n.text + "\n~~~~~~\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}
