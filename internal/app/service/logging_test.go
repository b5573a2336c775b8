package service

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/testkit"
)

func TestOpenLog(t *testing.T) {
	var stderr bytes.Buffer
	dir := t.TempDir() + "/logs"
	log, closeLog, err := OpenLog(config.Log{Dir: dir, JSON: true, Level: slog.LevelWarn}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("too low")
	log.Warn("taken", "took", time.Second)
	closeLog()
	text := testkit.ReadFile(t, dir+"/"+logFileName)
	if !strings.Contains(text, `"msg":"taken","took":1000000000`) || strings.Contains(text, "too low") || stderr.Len() > 0 {
		t.Errorf("file %s, stderr %s", text, stderr.String())
	}
	log, closeLog, err = OpenLog(config.Log{Off: true}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Error("nobody hears it")
	closeLog()
	log, closeLog, err = OpenLog(config.Log{}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("line", "portal", "main")
	slog.New(everything{log.Handler()}).Debug("request")
	closeLog()
	if text := stderr.String(); !strings.Contains(text, "level=INFO msg=line portal=main") || !strings.Contains(text, "level=DEBUG msg=request") || strings.Contains(text, "nobody") {
		t.Errorf("stderr %s", text)
	}
}
