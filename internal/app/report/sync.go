package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/b24rules/b24rules/engine/dryrun"
)

// Sync is the result of a sync.
type Sync struct {
	Portal   string     `json:"portal"`
	Rule     string     `json:"rule"`
	Since    *time.Time `json:"since,omitempty"`
	Entities int        `json:"entities"`
	Gone     int        `json:"gone"`
	Runs     int        `json:"runs"`
	Pending  int        `json:"pending_before"`
	Failed   int        `json:"failed"`
	Seconds  float64    `json:"seconds"`
}

// WriteSync prints the result of a sync; format is text or json.
func WriteSync(w io.Writer, format string, r Sync) error {
	if format == "json" {
		return WriteJSON(w, r)
	}
	text := fmt.Sprintf("%s: %s, %s", r.Rule, Plural(r.Entities, "entity", "entities"), Plural(r.Runs, "run", "runs"))
	if r.Pending > 0 {
		text += fmt.Sprintf(", %d already pending", r.Pending)
	}
	if r.Gone > 0 {
		text += fmt.Sprintf(", %d of deleted entities", r.Gone)
	}
	took := time.Duration(r.Seconds * float64(time.Second)).Round(time.Millisecond)
	_, err := fmt.Fprintf(w, "%s, %d failed, in %s\n", text, r.Failed, Span(took))
	return err
}

// DrySync is the result of a dry sync.
type DrySync struct {
	Portal   string `json:"portal"`
	Rule     string `json:"rule"`
	Entities int    `json:"entities"`
	Gone     int    `json:"gone"`
	// Changed is the number of entities with changes.
	Changed int `json:"changed"`
	Add     int `json:"add"`
	Change  int `json:"change"`
	Delete  int `json:"delete"`
	Calls   int `json:"calls"`
	Failed  int `json:"failed"`
	// Plans are the first plans with changes or errors.
	Plans []Plan `json:"plans"`
}

// Bar returns a line of at most width columns: the name, a bar with the percentage,
// and the text. The bar fills the space between them.
func Bar(name string, done, total int, text string, width int) string {
	part := 0.0
	if total > 0 {
		part = min(1, float64(done)/float64(total))
	}
	percent := fmt.Sprintf("%3d%%", int(part*100))
	room := width - len(name) - len(percent) - len([]rune(text)) - 6
	if room < 5 {
		return Fit(strings.TrimSpace(name+" "+percent+"  "+text), width)
	}
	room = min(room, 40)
	full := int(part * float64(room))
	return fmt.Sprintf("%s [%s%s] %s  %s", name, strings.Repeat("=", full), strings.Repeat("-", room-full), percent, text)
}

// Rate formats a number of runs per second.
func Rate(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// maxPlans limits the plans in the JSON of a dry sync.
const maxPlans = 1000

// Count counts the plan of one entity.
func (r *DrySync) Count(p Plan) {
	if p.Error != "" {
		r.Failed++
	}
	if len(p.Changes) > 0 {
		r.Changed++
	}
	if (len(p.Changes) > 0 || p.Error != "") && len(r.Plans) < maxPlans {
		r.Plans = append(r.Plans, p)
	}
	for _, c := range p.Changes {
		switch c.Kind {
		case dryrun.ChangeAdd:
			r.Add++
		case dryrun.ChangeUpdate:
			r.Change++
		case dryrun.ChangeDelete:
			r.Delete++
		case dryrun.ChangeCall, dryrun.ChangeOutside:
			r.Calls++
		}
	}
}

// WriteDrySync prints the result of a dry sync; format is text or json.
func WriteDrySync(w io.Writer, format string, r DrySync) error {
	if format == "json" {
		return WriteJSON(w, r)
	}
	_, err := fmt.Fprintf(w, "%s would change %d of %s: + %d  ~ %d  - %d  ! %d, and fail for %d\n",
		r.Rule, r.Changed, Plural(r.Entities+r.Gone, "entity", "entities"), r.Add, r.Change, r.Delete, r.Calls, r.Failed)
	return err
}
