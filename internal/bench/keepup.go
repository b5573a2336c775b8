package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/ruletest/testportal"
)

// keepUp measures what is not the engine, but what its users wait for: the emulator with much
// data, and the first build.
type keepUp struct{ *bench }

// caseEmulator measures one lists.element.add in lists of different lengths, and a seed.
func (b keepUp) caseEmulator(context.Context) error {
	p := emulator.New(emulator.Config{Plan: emulator.PlanUnlimited, KeepCalls: -1, KeepChanges: -1})
	defer p.Close()
	ids := emulator.Demo(p)
	n := 0
	for _, length := range []int{b.deals, 30 * b.deals, 100 * b.deals} {
		for n < length {
			if err := addElement(p, ids.ShipmentList, n); err != nil {
				return err
			}
			n++
		}
		start := time.Now()
		for range b.deals {
			if err := addElement(p, ids.ShipmentList, n); err != nil {
				return err
			}
			n++
		}
		took := time.Since(start)
		b.add(row{
			what: fmt.Sprintf("12 %d elements more in a list of %d", b.deals, length), client: "emulator", wall: took,
			note: fmt.Sprintf("%d µs for one lists.element.add, without HTTP", took.Microseconds()/int64(b.deals)),
		})
	}

	var text strings.Builder
	text.WriteString("deals:\n")
	deals := 10 * b.deals
	for i := range deals {
		fmt.Fprintf(&text, "  %d: {title: Deal %d}\n", i+1, i+1)
	}
	start := time.Now()
	seed, findings := testportal.ReadSeed("seed.yaml", []byte(text.String()))
	if err := findings.Err(); err != nil {
		return err
	}
	o := emulator.New(emulator.Config{})
	defer o.Close()
	if err := seed.Fill(o); err != nil {
		return err
	}
	b.add(row{what: fmt.Sprintf("12 a seed of %d deals", deals), client: "emulator", wall: time.Since(start)})
	return nil
}

func addElement(p *emulator.Portal, list, n int) error {
	params := url.Values{
		"IBLOCK_TYPE_ID": {"lists"}, "IBLOCK_ID": {strconv.Itoa(list)}, "ELEMENT_CODE": {fmt.Sprint("e", n)},
		"FIELDS[NAME]": {"E"}, "FIELDS[PROPERTY_101]": {strconv.Itoa(n / rowsPerDeal)}, "FIELDS[PROPERTY_105]": {"1"},
	}
	r := httptest.NewRequest(http.MethodPost, p.WebhookPath()+"lists.element.add", strings.NewReader(params.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("lists.element.add: %s", w.Body)
	}
	return nil
}

// caseBuild measures the first build of a clone, with empty caches: what make demo does before
// the demo starts.
func (b keepUp) caseBuild(ctx context.Context) error {
	modules, builds := filepath.Join(b.dir, "modules"), filepath.Join(b.dir, "builds")
	build := exec.CommandContext(ctx, "go", "build", "-modcacherw", "-o", filepath.Join(b.dir, "first"), "./cmd/b24rules")
	build.Env = append(os.Environ(), "GOMODCACHE="+modules, "GOCACHE="+builds)
	start := time.Now()
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build with empty caches: %w\n%.2000s", err, out)
	}
	size, err := sizeOf(modules)
	if err != nil {
		return err
	}
	b.add(row{
		what: "13 first build, caches empty", client: "go build", wall: time.Since(start),
		note: fmt.Sprintf("%d MB of modules, %s of CPU time", size>>20, seconds(build.ProcessState.UserTime()+build.ProcessState.SystemTime())),
	})
	return nil
}

// sizeOf is the size of all files in a folder.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, f os.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		return nil
	})
	return size, err
}
