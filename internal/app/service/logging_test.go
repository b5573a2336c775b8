package service

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/redact"
)

func TestOpenLogs(t *testing.T) {
	var stderr bytes.Buffer
	dir := t.TempDir() + "/logs"
	logs := OpenLogs(config.Log{Dir: dir, JSON: true, Level: slog.LevelWarn}, nil, &stderr)
	logs.Log.Info("too low")
	logs.Log.Warn("taken", "took", time.Second)
	logs.Close()
	text := testkit.ReadFile(t, dir+"/"+logFileName)
	if !strings.Contains(text, `"msg":"taken","took":1000000000`) || strings.Contains(text, "too low") || stderr.Len() > 0 || logs.Dump != nil {
		t.Errorf("file %s, stderr %s", text, stderr.String())
	}
	logs = OpenLogs(config.Log{Off: true, Dump: true}, nil, &stderr)
	logs.Log.Error("off")
	if logs.Close(); logs.Dump != nil {
		t.Error("log.off leaves the dump on")
	}
	logs = OpenLogs(config.Log{}, nil, &stderr)
	logs.Log.Info("line", "portal", "main")
	slog.New(everything{logs.Log.Handler()}).Debug("request")
	logs.Close()
	if text := stderr.String(); !strings.Contains(text, "level=INFO msg=line portal=main") || !strings.Contains(text, "level=DEBUG msg=request") || strings.Contains(text, "off") {
		t.Errorf("stderr %s", text)
	}
}

// TestLogsWithoutAFolder: a folder that cannot be written stops neither the program nor
// the log. There is one warning for each file, and the lines are counted.
func TestLogsWithoutAFolder(t *testing.T) {
	var stderr bytes.Buffer
	blocked := filepath.Join(t.TempDir(), "logs")
	testkit.WriteFile(t, blocked, "a file where a folder should be")
	logs := OpenLogs(config.Log{Dir: blocked, Dump: true}, redact.New(), &stderr)
	defer logs.Close()
	for range 3 {
		logs.Log.Info("a line")
		logs.Dump.Event("main", []byte("event=ONCRMDEALADD"))
	}
	text := stderr.String()
	if strings.Count(text, "cannot write log file, omitting its lines") != 2 || strings.Count(text, `msg="a line"`) != 3 || strings.Contains(text, "ONCRMDEALADD") {
		t.Errorf("stderr %s", text)
	}
	m := newMetrics()
	m.countLost(logs.files)
	got, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]float64{}
	for _, f := range got {
		for _, one := range f.Metric {
			if f.GetName() == "b24rules_log_lost_lines_total" {
				lost[one.Label[0].GetValue()] = one.GetCounter().GetValue()
			}
		}
	}
	// The log also reports about the dump.
	if lost[logFileName] != 4 || lost[dumpFileName] != 3 {
		t.Errorf("lost lines: %v", lost)
	}
}
