package actions

import (
	"context"
	"unicode/utf8"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
	"github.com/b24rules/b24rules/engine/num"
)

// NextNumber gives the entity of the run a number.
var NextNumber = engine.Define(engine.Spec[nextNumberArgs]{
	Name: "next_number",
	Doc: `give the entity of the run the next number of a series

Each entity gets one number in a series and keeps it: a repeated run gets the same.
No two entities of a portal have the same number in a series, and no number is
omitted, whatever number of runs ask at once. The numbers of deleted entities stay
used. The series is a text, so a formula may start another one each year.

The numbers are in the database. After a backup was restored, or when people gave
numbers before, at_least says from where on the next ones are free.

The result has the number.`,
	Says: "takes the next number of series {series}",
	Run:  nextNumber,
	Result: func(*engine.ArgTypes) formula.Type {
		return formula.RecordOf(map[string]formula.Type{"number": {Kind: formula.Int}})
	},
	AlsoCalled: []string{"counter", "sequence", "autonumber"},
	Check: func(c *engine.StepCheck) {
		if c.Types().Type("series").Maybe {
			c.Errorf("series", "maybe-missing", "the series may be missing, and all such entities would share one").Hint = "add another value with ??"
		}
	},
})

type nextNumberArgs struct {
	Series  string `yaml:"series" validate:"required" doc:"the name of the series" example:"CONT-{{ yearOf(event.time) }}"`
	AtLeast int    `yaml:"at_least" validate:"omitempty,min=1" doc:"the lowest number that may be given" example:"1"`
}

// maxSeries is how many bytes the name of a series may have.
const maxSeries = 200

func nextNumber(ctx context.Context, c *engine.Call, a nextNumberArgs) (any, error) {
	if a.Series == "" || len(a.Series) > maxSeries || !utf8.ValidString(a.Series) {
		return nil, engine.ParkError("the name of a series has 1 to %d bytes, and this one has %d", maxSeries, len(a.Series))
	}
	n, err := c.Number(ctx, a.Series, max(a.AtLeast, 1))
	if err != nil {
		return nil, err
	}
	c.Note("number %d of series %s", n, a.Series)
	return map[string]any{"number": num.FromInt(int64(n))}, nil
}
