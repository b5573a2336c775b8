package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
)

// History says how long history is kept. The zero value keeps it as long
// as the queue does by default.
type History struct {
	Succeeded retention `yaml:"succeeded" default:"30d" doc:"runs that succeeded, with their events and steps"`
	Discarded retention `yaml:"discarded" default:"30d" doc:"runs that somebody has discarded"`
	Parked    retention `yaml:"parked" default:"365d" doc:"runs that failed for good, and can be replayed"`
	Events    retention `yaml:"events" default:"30d" doc:"events that no rule was for"`
	// Record is 0 for the default.
	Record int `yaml:"record" validate:"min=1024,max=16777216" default:"65536" doc:"bytes of one attempt: its steps, commands and answers; what is over is left out and said to be"`
}

// retention is how long something is kept: 0 means the default, less means for ever.
type retention time.Duration

// UnmarshalNode implements yamlfile.NodeUnmarshaler.
func (k *retention) UnmarshalNode(f *yamlfile.File, n *yaml.Node) diag.List {
	var (
		s    scalar
		list = s.UnmarshalNode(f, n)
	)
	if s.bad {
		return list
	}
	d, ok := parseRetention(s.text)
	if !ok {
		list.Errorf(s.pos, "invalid-value", "%q is no time to keep history for", s.text).Hint = "want days or hours such as 30d or 12h, or forever"
	}
	*k = retention(d)
	return list
}

func parseRetention(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	if text == "forever" {
		return -1, true
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		return time.Duration(n) * day, err == nil && n > 0 && n < uint64(math.MaxInt64/day)
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
