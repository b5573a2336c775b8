package engine

// Origins finds the paths that the values of a rule depend on.
type Origins struct {
	// Computed holds the values of computed names, Fetched the steps by their ids.
	Computed map[string]*Value
	Fetched  map[string]*Step
}

// NewOrigins reads the names and ids of a rule.
func NewOrigins(r *Rule) *Origins {
	o := newOrigins()
	for _, s := range r.AllSteps() {
		o.add(s)
	}
	return o
}

func newOrigins() *Origins {
	return &Origins{Computed: map[string]*Value{}, Fetched: map[string]*Step{}}
}

// add reads the names and the id of a step.
func (o *Origins) add(s *Step) {
	if s.ID != "" {
		o.Fetched[s.ID] = s
	}
	for _, a := range s.Args {
		for _, n := range a.Names {
			if s.Action.Spread {
				o.Computed[n.Name] = n.Value
			}
		}
	}
}

// maxTrace bounds the number of paths that Sources follows.
const maxTrace = 50

// Sources calls add for every path that a value depends on. It follows computed names,
// and the arguments of the steps whose results the value reads.
func (o *Origins) Sources(v *Value, add func(path string)) {
	seen := map[string]bool{}
	var follow func(v *Value)
	follow = func(v *Value) {
		v.Paths(func(p string) {
			if seen[p] || len(seen) > maxTrace {
				return
			}
			seen[p] = true
			add(p)
			name := PathPrefix(p, 1)
			if c := o.Computed[name]; c != nil {
				follow(c)
			} else if s := o.Fetched[name]; s != nil {
				s.EachValue(follow)
			}
		})
	}
	follow(v)
}
