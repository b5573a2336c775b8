package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/report"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/queue"
	"github.com/b24rules/b24rules/schemas"
)

var whyCmd = &command{
	name:  "why",
	args:  "[--config FILE] [--portal NAME] [--format text|json] RECORD [FIELD]",
	short: "show which rule has written an element or an item",
	long: `Why shows which step of which rule has written a record, in which run, when and for
which entity. With FIELD it shows only the steps that write this field, and what they
have written as far as history has the run.

RECORD is an element of a list (element:47:12), an item of a smart process
(item:1038:5), or another entity of the CRM (deal:7, smart_invoice:3).

Why reads only the database. It knows what rules have written since the database was
made or upgraded, or since the last sync. It does not know what call and set_products
have written.

Exit codes: 0 a rule has written the record, 1 no rule is known, 2 usage error, 3 why
could not read the database.`,
	setup: func(fs *flag.FlagSet) runFunc {
		path := configFlag(fs)
		portal := new(string)
		portalsVar(fs, portal, "not needed if there is only one: the portal")
		format := fs.String("format", "text", "print as `FORMAT`: text or json")
		return func(ctx context.Context, env environment, args []string) error {
			if err := oneOf("format", *format, "text", "json"); err != nil {
				return err
			}
			place, id, field, err := parseRecord(args)
			if err != nil {
				return err
			}
			return withHistory(ctx, env, *path, func(c *config.Config, q *queue.Queue) error {
				return eachPortal(env, c, *portal, true, func(name string) error {
					w, err := report.ReadWhy(ctx, q, name, place, id, field)
					if err != nil {
						return err
					}
					if *format == "json" {
						err = report.WriteJSON(env.Out, w)
					} else {
						err = w.Write(env.Out, zoneOf(c, name))
					}
					if err == nil && len(w.Writers) == 0 {
						err = errFindings
					}
					return err
				})
			})
		}
	},
}

// parseRecord reads RECORD and FIELD. RECORD may be written as two words: element 47:12.
func parseRecord(args []string) (place string, id int64, field string, err error) {
	const example = "which record? element:47:12, item:1038:5 or deal:7"
	if len(args) > 1 && !strings.Contains(args[0], ":") {
		args = append([]string{args[0] + ":" + args[1]}, args[2:]...)
	}
	if len(args) == 0 || len(args) > 2 {
		return "", 0, "", usagef("%s", example)
	}
	if len(args) == 2 {
		field = args[1]
	}
	parts := strings.Split(args[0], ":")
	number := func(i int) int {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n <= 0 {
			return 0
		}
		return n
	}
	switch {
	case parts[0] == "element" && len(parts) == 3 && number(1) > 0:
		place = engine.PlaceOfList(number(1))
	case parts[0] == "item" && len(parts) == 3 && number(1) > 0:
		place = engine.PlaceOfItems(number(1))
	case len(parts) == 2 && engine.OwnerTypeID(parts[0]) > 0:
		place = engine.PlaceOfItems(engine.OwnerTypeID(parts[0]))
	default:
		text := fmt.Sprintf("%q is no record: write element:47:12, item:1038:5 or deal:7", args[0])
		names := []string{"element", "item"}
		for _, o := range schemas.Owners() {
			names = append(names, o.Name)
		}
		if near := diag.Closest(parts[0], names); near != "" && near != parts[0] {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		return "", 0, "", &usageError{text}
	}
	if id = int64(number(len(parts) - 1)); id == 0 {
		return "", 0, "", usagef("%q has no id: write element:47:12, item:1038:5 or deal:7", args[0])
	}
	return place, id, field, nil
}
