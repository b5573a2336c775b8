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

// History is how long the history is kept. The zero value means the defaults of the
// queue.
type History struct {
	Succeeded retention `yaml:"succeeded" default:"30d" doc:"runs that succeeded, with their events and steps"`
	Discarded retention `yaml:"discarded" default:"30d" doc:"discarded runs"`
	Parked    retention `yaml:"parked" default:"365d" doc:"parked runs (dead letters), which can be replayed"`
	Events    retention `yaml:"events" default:"30d" doc:"events without a rule"`
	// Record is 0 for the default.
	Record int `yaml:"record" validate:"min=1024,max=16777216" default:"65536" doc:"bytes of the steps, commands and answers of one attempt; the record says if it is cut"`
}

// retention is how long records are kept: 0 means the default, a negative value for
// ever.
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
		list.Errorf(s.pos, "invalid-value", "%q is not a retention time", s.text).Hint = "write days or hours, such as 30d or 12h, or forever"
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
