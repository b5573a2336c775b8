package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/b24rules/b24rules/emulator/internal/rest"
	"github.com/b24rules/b24rules/internal/php"
	"github.com/b24rules/b24rules/schemas"
)

// SetAnswers sets what methods answer that the portal has and the emulator does not emulate,
// such as tasks.task.add: the result of each, whatever the parameters are. They replace the
// answers before. [Portal.Calls] shows what the methods were called with.
func (p *Portal) SetAnswers(results map[string]json.RawMessage) error {
	methods := make(map[string]*rest.Method, len(results))
	for _, name := range slices.Sorted(maps.Keys(results)) {
		lower := strings.ToLower(name)
		known, documented := schemas.LookupMethod(name)
		result, err := php.DecodeJSON(results[name])
		switch {
		case !documented:
			return fmt.Errorf("no method %q is documented", name)
		case p.server.methods[lower] != nil:
			return fmt.Errorf("%s is emulated, so it answers itself", known.Name)
		case err != nil:
			return fmt.Errorf("the result of %s cannot be read: %w", known.Name, err)
		}
		methods[lower] = &rest.Method{Name: known.Name, Run: func(*rest.Call) (any, error) { return result, nil }}
	}
	p.server.answers.Store(&methods)
	return nil
}

// answers sets the answers of methods that are not emulated.
func (c control) answers(w http.ResponseWriter, r *http.Request) {
	var results map[string]json.RawMessage
	err := decodeStrict(r, &results)
	if err == nil {
		err = c.p.SetAnswers(results)
	}
	if err != nil {
		complain(w, http.StatusBadRequest, `want {"tasks.task.add": {"task": {"id": 5}}}: `+err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]int{"answers": len(results)})
}
