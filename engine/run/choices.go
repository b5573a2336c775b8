package run

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
	"github.com/b24rules/b24rules/engine/formula"
)

// choices returns the function with which formulas read the texts of choices. The client
// keeps the descriptions of fields. The entries of directories are kept for the run.
func choices(ctx context.Context, x *execution) func(of formula.Choice, id string) (string, error) {
	entries := map[string][]directoryEntry{}
	return func(of formula.Choice, id string) (string, error) {
		portal := x.portal(nil)
		name, kind, options, directory := of.Field, "", map[string]string(nil), ""
		if of.List {
			fields, err := portal.ListFields(ctx, of.ListType, of.ID)
			if err != nil {
				return "", err
			}
			for _, f := range fields.All() {
				if f.ID == of.Field || f.Code == of.Field {
					kind, options = f.Type, f.Enum
				}
			}
		} else {
			fields, err := portal.ItemFields(ctx, of.ID)
			if err != nil {
				return "", err
			}
			f, _ := fields.Lookup(of.Field)
			kind, options, directory = f.Type, f.Enum, f.StatusType
		}
		switch {
		case kind == "":
			return "", engine.ParkErrorOf(engine.ParkedByMissing, "textOf: the portal has no field %s", name)
		case kind == "enumeration" || kind == "L":
			text, known := options[id]
			if !known {
				return "", engine.ParkErrorOf(engine.ParkedByMissing, "textOf: field %s has no choice with the id %.40q", name, id)
			}
			return text, nil
		case kind != "crm_status":
			return "", engine.ParkError("textOf: field %s has no choices, it is of the type %s", name, kind)
		}
		found, read := entries[id]
		if !read {
			var err error
			if found, err = readDirectory(ctx, portal, id); err != nil {
				return "", err
			}
			entries[id] = found
		}
		for _, e := range found {
			if e.in(directory) {
				return e.Name, nil
			}
		}
		return "", engine.ParkError("textOf: field %s has no choice with the id %.40q", name, id)
	}
}

// directoryEntry is an entry of a directory of the CRM, such as a stage or a source.
type directoryEntry struct {
	Directory string `json:"ENTITY_ID"`
	Name      string `json:"NAME"`
}

// in reports whether an entry is of the directory of a field. A field with stages names the
// directory of one pipeline, and each pipeline has one: DEAL_STAGE, DEAL_STAGE_5.
func (e directoryEntry) in(directory string) bool {
	return directory != "" && withoutPipeline(e.Directory) == withoutPipeline(directory)
}

func withoutPipeline(directory string) string {
	return strings.TrimSuffix(strings.TrimRight(directory, "0123456789"), "_")
}

// readDirectory reads the entries of all directories that have an id.
//
// Source: https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html
func readDirectory(ctx context.Context, portal engine.Portal, id string) ([]directoryEntry, error) {
	raw, err := portal.List(ctx, bitrix.Call{Method: "crm.status.list", Params: map[string]any{"filter": map[string]any{"STATUS_ID": id}}}, "")
	if err != nil {
		return nil, err
	}
	out := make([]directoryEntry, len(raw))
	for i, r := range raw {
		if err := json.Unmarshal(r, &out[i]); err != nil {
			return nil, fmt.Errorf("the answer of crm.status.list is not readable: %w", err)
		}
	}
	return out, nil
}
