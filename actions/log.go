package actions

import (
	"context"
	"log/slog"

	"github.com/b24rules/b24rules/engine"
)

// Log writes a line to the program's log.
var Log = engine.Define(engine.Spec[logArgs]{
	Name:       "log",
	AlsoCalled: []string{"print"},
	Doc: `write a line to the log

The line also has the portal, the rule, the step and the entity.`,
	Says: "writes to the log: {message}",
	Run: func(ctx context.Context, c *engine.Call, a logArgs) (any, error) {
		level := slog.LevelInfo
		if a.Level != "" {
			if err := level.UnmarshalText([]byte(a.Level)); err != nil {
				return nil, engine.ParkError("level: %w", err)
			}
		}
		c.Log.Log(ctx, level, a.Message)
		return nil, nil
	},
})

type logArgs struct {
	Message string `yaml:"message" validate:"required" doc:"what to write" example:"invoice {{ event.id }} has no rows"`
	Level   string `yaml:"level" validate:"oneof=debug info warn error" default:"info" doc:"debug, info, warn or error"`
}
