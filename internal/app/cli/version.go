package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

var versionCmd = &command{
	name:  "version",
	short: "print the version of this program",
	long:  `Version prints the version, the commit of the build and the version of Go.`,
	setup: func(*flag.FlagSet) runFunc { return runVersion },
}

func runVersion(_ context.Context, env environment, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(env.Out, versionText(debug.ReadBuildInfo()))
	return err
}

// release is the version of a release. packaging/release.sh sets it; go install leaves
// it to the module's version.
var release string

// versionText describes the build.
func versionText(info *debug.BuildInfo, ok bool) string {
	version, commit, changed := cmp.Or(release, "devel"), "", ""
	if ok {
		if v := info.Main.Version; release == "" && v != "" && v != "(devel)" {
			version = v
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = " commit " + s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " with changes"
			}
		}
	}
	return fmt.Sprintf("b24rules %s%s%s %s %s/%s", version, commit, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
