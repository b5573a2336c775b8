package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Record describes one attempt of a run. ReadRecord returns it. Texts, lists and records
// that are too long end with "…" and the length of the omitted part.
type Record struct {
	Rule    string        `json:"rule"`
	File    string        `json:"file,omitempty"`
	Version string        `json:"version"` // digest of the rule file's text
	Outcome Outcome       `json:"outcome,omitempty"`
	Calls   int           `json:"calls"`
	Writes  int           `json:"writes"`
	Took    time.Duration `json:"took"`
	// When are the parts of the rule's condition, if it was false.
	When []Term `json:"when,omitempty"`
	// DryRun says that the run has sent no writes, for example in shadow mode.
	DryRun bool `json:"dry_run,omitempty"`
	// Brief says that the run succeeded and wrote nothing. It has no inputs, and its
	// commands have no parameters and answers.
	Brief bool `json:"brief,omitempty"`
	// Cut says that the limit of the record was too small for everything.
	Cut    bool           `json:"cut,omitempty"`
	Inputs map[string]any `json:"inputs,omitempty"`
	// Follows are the runs that the run starts, and the time of its next one, in words.
	Follows []string `json:"follows,omitempty"`
	// Commands were sent before the first step.
	Commands []CommandRecord `json:"commands,omitempty"`
	Steps    []StepRecord    `json:"steps"`
	// More is how many commands of the run the record omits.
	More int `json:"more,omitempty"`
	// Types and Lists describe the custom fields of the records that the run read and
	// wrote, by entityTypeId and IBLOCK_ID.
	Types map[string][]FieldRecord `json:"types,omitempty"`
	Lists map[string][]FieldRecord `json:"lists,omitempty"`
}

// StepRecord is what became of one step.
type StepRecord struct {
	Step    string `json:"step"`
	Action  string `json:"action"`
	Line    int    `json:"line"`
	Skipped string `json:"skipped,omitempty"`
	// When are the parts of a condition that was false.
	When   []Term   `json:"when,omitempty"`
	Notes  []string `json:"notes,omitempty"`
	Calls  int      `json:"calls,omitempty"`
	Writes int      `json:"writes,omitempty"`
	// Rows is how many rows for_each had. Args are the arguments of the first rows, or
	// of the step without for_each.
	Rows     int             `json:"rows,omitempty"`
	Args     []ArgsRecord    `json:"args,omitempty"`
	Result   any             `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
	Took     time.Duration   `json:"took"`
	Commands []CommandRecord `json:"commands,omitempty"`
}

// Term is one of the parts that && joins in a condition.
type Term struct {
	Text string `json:"text"`
	True bool   `json:"true"`
	// Unread says that the condition was decided before this part.
	Unread bool `json:"unread,omitempty"`
	// Values are the values that the part reads: total is 142.00.
	Values []string `json:"values,omitempty"`
}

// ArgsRecord holds the computed arguments of a step. An argument that is computed for
// each row of another one has its text from the rule file.
type ArgsRecord struct {
	Row    int            `json:"row,omitempty"` // of for_each, from 0
	Values map[string]any `json:"values"`
}

// CommandRecord is one REST command.
type CommandRecord struct {
	Method string          `json:"method"`
	Write  bool            `json:"write,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	// Result is the answer as the portal sent it. For a listing that was read page by
	// page it is the list of rows.
	Result json.RawMessage `json:"result,omitempty"`
	// Rows is how many rows a listing returned, Bytes the length of the answer.
	Rows  int `json:"rows,omitempty"`
	Bytes int `json:"bytes,omitempty"`
	// Cut says that Params or Result is missing. Of a listing it has the first rows.
	Cut bool `json:"cut,omitempty"`
	// Batch is how many commands shared the request; 0 when that is not known.
	Batch int           `json:"batch,omitempty"`
	Code  string        `json:"code,omitempty"` // the portal's code, if the command failed
	Error string        `json:"error,omitempty"`
	Took  time.Duration `json:"took"` // with the time that the command waited before it was sent
}

// FieldRecord describes a field.
type FieldRecord struct {
	Name     string            `json:"name"`
	Code     string            `json:"code,omitempty"` // of a property
	Title    string            `json:"title,omitempty"`
	Type     string            `json:"type"`
	Multiple bool              `json:"multiple,omitempty"`
	Enum     map[string]string `json:"enum,omitempty"`
}

// DefaultRecordLimit is the default length of a record in bytes before compression.
const DefaultRecordLimit = 64 << 10

// ReadRecord reads a record from Trace.Record.
func ReadRecord(data json.RawMessage) (*Record, error) {
	data, err := UnpackRecord(data)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var r Record
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	return &r, nil
}
