//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/testkit"
)

// TestFromNothing runs the commands of docs/from-nothing.md in an empty folder with an empty
// HOME: ten commands from the archive of a release to the first changed element of a
// customer's portal, then the way over from a PHP script. B24_ARCHIVE is the archive of a
// release; without it, the archive holds this program.
func TestFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and other tests run the same commands")
	}
	t.Parallel()
	commands := shownCommands(t, "docs/from-nothing.md")
	first := 0
	for i, c := range commands {
		if strings.Contains(c.command, "element.get") {
			first = i + 1
			break
		}
	}
	if first == 0 || first > 10 {
		t.Errorf("%d commands to the first element", first)
	}
	requirePHP(t)
	r := newReader(t)
	r.also("127.0.0.1:8499", testkit.FreeAddr(t))
	archive := os.Getenv("B24_ARCHIVE")
	if archive == "" {
		archive = testArchive(t)
	}
	if err := os.Symlink(archive, filepath.Join(r.dir, "b24rules_0.0.1_linux_amd64.tar.gz")); err != nil {
		t.Fatal(err)
	}
	r.before = func(command string) {
		if strings.Contains(command, "mode: live") {
			r.end() // the script
		}
	}
	began := time.Now()
	for i, c := range commands {
		r.follow(c)
		if i+1 == first {
			t.Logf("%d commands to the first element: %s", first, time.Since(began).Round(100*time.Millisecond))
		}
	}
	t.Logf("%d commands to the end of the way over: %s", len(commands), time.Since(began).Round(100*time.Millisecond))
}

// testArchive packs this program as packaging/release.sh does.
func testArchive(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "b24rules_0.0.1_linux_amd64")
	for from, to := range map[string]string{testkit.ProgramDir(t): folder, "../../../docs/examples": filepath.Join(folder, "docs", "examples")} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("tar", "-C", dir, "-czf", folder+".tar.gz", filepath.Base(folder)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return folder + ".tar.gz"
}
