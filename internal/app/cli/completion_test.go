package cli

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/actions"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestBashCompletion asks bash what the script completes.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "b24rules.bash")
	testkit.WriteFile(t, script, completionScript(t, "bash"))
	for _, tt := range []struct {
		words string // a blank at the end starts a new word
		want  []string
	}{
		{"b24rules va", []string{"validate"}},
		{"b24rules h", []string{"help"}},
		{"b24rules runs re", []string{"replay", "resume"}},
		{"b24rules help sy", []string{"sync"}},
		{"b24rules serve --c", []string{"--config"}},
		{"b24rules runs show --a", []string{"--attempt"}},
		{"b24rules validate ru", nil}, // bash completes the names of files
		{"b24rules nothing --", nil},
	} {
		words := strings.Split(tt.words, " ")
		var line strings.Builder
		line.WriteString("source \"$1\"; COMP_WORDS=(")
		for _, w := range words {
			line.WriteString("'" + w + "' ")
		}
		line.WriteString("); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _b24rules; printf '%s\\n' \"${COMPREPLY[@]}\"")
		out, err := exec.Command("bash", "-c", line.String(), "bash", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", tt.words, err, out)
		}
		if got := strings.Fields(string(out)); !slices.Equal(got, tt.want) {
			t.Errorf("%q completes %q, want %q", tt.words, got, tt.want)
		}
	}
}

// TestCompletionScripts: each script names all commands, and the flags of each command
// that can be run.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, s := range shells {
		script := completionScript(t, s.name)
		for _, c := range runnable(completables(commands)) {
			if !strings.Contains(script, c.name()) {
				t.Errorf("%s: no command %v", s.name, c.path)
			}
			for _, f := range c.flags {
				if name := strings.TrimLeft(f.name, "-"); !strings.Contains(script, name) {
					t.Errorf("%s: no flag %s of %v", s.name, f.name, c.path)
				}
			}
		}
	}
}

// completionScript returns what the command prints for a shell.
func completionScript(t *testing.T, shell string) string {
	t.Helper()
	var out, errs strings.Builder
	if code := Main(context.Background(), []string{"completion", shell}, Std{Out: &out, Err: &errs}, actions.All); code != exitFine {
		t.Fatalf("completion %s: exit code %d: %s", shell, code, errs.String())
	}
	return out.String()
}
