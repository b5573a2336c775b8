package emulator

import (
	"maps"
	"slices"

	"github.com/b24rules/b24rules/emulator/internal/events"
	"github.com/b24rules/b24rules/emulator/internal/faults"
	"github.com/b24rules/b24rules/internal/diag"
	"github.com/b24rules/b24rules/internal/yamlfile"
	"gopkg.in/yaml.v3"
)

// What goes wrong on the way to a portal.
type (
	// Fault is something that goes wrong with commands.
	Fault = faults.Fault
	// FaultKind says what goes wrong.
	FaultKind = faults.Kind
	// FaultState is a fault that is set, and how often it matched and hit.
	FaultState = faults.State
	// Shape says how an answer differs from the documented one.
	Shape = faults.Shape
)

// Kinds of faults.
const (
	FaultDelay       = faults.Delay
	FaultRefuse      = faults.Refuse
	FaultTimeout     = faults.Timeout
	FaultReset       = faults.Reset
	FaultHTML        = faults.HTML
	FaultTruncate    = faults.Truncate
	FaultMoved       = faults.Moved
	FaultShape       = faults.ChangeShape
	FaultUndone      = faults.Undone
	FaultUnkept      = faults.Unkept
	FaultBOM         = faults.BOM
	FaultContentType = faults.ContentType
)

// Shapes of answers, of the kinds FaultShape and FaultUndone.
const (
	ShapeAbsent  = faults.ShapeAbsent
	ShapeNull    = faults.ShapeNull
	ShapeFalse   = faults.ShapeFalse
	ShapeGaps    = faults.ShapeGaps
	ShapeRenamed = faults.ShapeRenamed
	ShapeShort   = faults.ShapeShort
	ShapeTotal   = faults.ShapeTotal
	ShapeNoNext  = faults.ShapeNoNext
	ShapeNoID    = faults.ShapeNoID
)

// SetFaults replaces the faults of the portal; without arguments it has none. Of several
// faults that match a command the first that strikes counts; delays add up. The error says
// what is wrong with a fault, and then the faults stay.
func (p *Portal) SetFaults(list ...Fault) error {
	if err := faults.Check(list, slices.Sorted(maps.Keys(p.server.methods))); err != nil {
		return err
	}
	p.server.faults.Arm(list)
	return nil
}

// Faults returns the faults that are set, in their order.
func (p *Portal) Faults() []FaultState { return p.server.faults.States() }

// ParseFaults reads faults from YAML, of which JSON is a part: a list of them, or one. The
// keys are the fields of Fault in lower case; delay is a duration such as 250ms. Findings
// name the place in the text, whose file is called name.
func ParseFaults(name string, data []byte) ([]Fault, diag.List) {
	return faults.Parse(name, data, methodNames())
}

// DecodeFaults reads faults from a node of a YAML file: a list of them, or one.
func DecodeFaults(f *yamlfile.File, root *yaml.Node) ([]Fault, diag.List) {
	return faults.Decode(f, root, methodNames())
}

// methodNames returns the names of all methods in their order.
func methodNames() []string {
	return slices.Sorted(maps.Keys(methodTable(&Portal{events: &events.Hub{}})))
}
