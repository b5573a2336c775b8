package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// profiled is a file that a profiled engine has in addition to the released program. It
// writes a CPU profile and an allocation profile on SIGUSR1.
const profiled = `package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

func init() {
	dir := os.Getenv("BENCH_PROFILE")
	cpu, err := os.Create(dir + "/cpu.pprof")
	if err == nil {
		err = pprof.StartCPUProfile(cpu)
	}
	if err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		<-signals
		pprof.StopCPUProfile()
		allocs, err := os.Create(dir + "/allocs.pprof.part")
		if err == nil {
			err = pprof.Lookup("allocs").WriteTo(allocs, 0)
		}
		if err == nil {
			err = os.Rename(allocs.Name(), dir+"/allocs.pprof")
		}
		if err != nil {
			panic(err)
		}
	}()
}
`

// build builds the program. With a folder for profiles, an overlay adds the code above,
// so the released program needs no switch for it.
func (b *bench) build(ctx context.Context) error {
	args := []string{"build", "-o", b.binary}
	if b.profiles != "" {
		overlay, err := b.overlay()
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	if text, err := exec.CommandContext(ctx, "go", append(args, "./cmd/b24rules")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the engine: %w: %s", err, text)
	}
	return nil
}

func (b *bench) overlay() (file string, err error) {
	if err := os.MkdirAll(b.profiles, 0o700); err != nil {
		return "", err
	}
	code := filepath.Join(b.dir, "profiled.go")
	if err := os.WriteFile(code, []byte(profiled), 0o600); err != nil {
		return "", err
	}
	place, err := filepath.Abs("cmd/b24rules/profiled.go")
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{place: code}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(b.dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

// writeProfiles waits until the engine has written them.
func (e *engine) writeProfiles() error {
	last := filepath.Join(e.profiles, "allocs.pprof")
	if err := os.Remove(last); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := e.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	for range 100 {
		if _, err := os.Stat(last); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the engine has not written %s", last)
}
