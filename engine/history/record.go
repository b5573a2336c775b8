package history

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Record is what the history keeps of one attempt of a run, as ReadRecord gives
// it. Texts, lists and records of arguments and results that are too long end
// with "…" and how much is left out.
type Record struct {
	Rule    string        `json:"rule"`
	File    string        `json:"file,omitempty"`
	Version string        `json:"version"` // digest of the rule file's text
	Outcome Outcome       `json:"outcome,omitempty"`
	Calls   int           `json:"calls"`
	Writes  int           `json:"writes"`
	Took    time.Duration `json:"took"`
	// Brief says that the run succeeded and wrote nothing: parameters and
	// answers of its commands are not kept.
	Brief bool `json:"brief,omitempty"`
	// Cut says that the limit of the record left something out.
	Cut    bool           `json:"cut,omitempty"`
	Inputs map[string]any `json:"inputs,omitempty"`
	// Commands were sent before the first step.
	Commands []CommandRecord `json:"commands,omitempty"`
	Steps    []StepRecord    `json:"steps"`
	// More is how many commands came after the last one that is told.
	More int `json:"more,omitempty"`
	// Types and Lists describe the fields of what the run read and wrote, by
	// entityTypeId and IBLOCK_ID: the portal's own fields only.
	Types map[string][]FieldRecord `json:"types,omitempty"`
	Lists map[string][]FieldRecord `json:"lists,omitempty"`
}

// StepRecord is what became of one step.
type StepRecord struct {
	Step    string   `json:"step"`
	Action  string   `json:"action"`
	Line    int      `json:"line"`
	Skipped string   `json:"skipped,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Calls   int      `json:"calls,omitempty"`
	Writes  int      `json:"writes,omitempty"`
	// Rows is how many rows for_each had, Args the arguments of the first ones.
	// Without for_each there is one entry.
	Rows     int             `json:"rows,omitempty"`
	Args     []ArgsRecord    `json:"args,omitempty"`
	Result   any             `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
	Took     time.Duration   `json:"took"`
	Commands []CommandRecord `json:"commands,omitempty"`
}

// ArgsRecord are the evaluated arguments of a step. Those that are computed for
// each row of an argument stand there as the rule file has them.
type ArgsRecord struct {
	Row    int            `json:"row,omitempty"` // of for_each, from 0
	Values map[string]any `json:"values"`
}

// CommandRecord is one REST command.
type CommandRecord struct {
	Method string          `json:"method"`
	Write  bool            `json:"write,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	// Result is the answer as the portal sent it; of a listing that was read
	// page by page the rows.
	Result json.RawMessage `json:"result,omitempty"`
	// Rows is how many rows a listing brought, Bytes how long the answer was.
	Rows  int `json:"rows,omitempty"`
	Bytes int `json:"bytes,omitempty"`
	// Cut says that Result or Params are not whole: of a listing the first rows
	// are there.
	Cut bool `json:"cut,omitempty"`
	// Batch is how many commands shared the request; 0 when that is not known.
	Batch int           `json:"batch,omitempty"`
	Code  string        `json:"code,omitempty"` // the portal's, of a command that failed
	Error string        `json:"error,omitempty"`
	Took  time.Duration `json:"took"` // from being asked for to its answer, waiting included
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

// DefaultRecordLimit is how long a record may be when nobody says otherwise,
// in bytes before compression.
const DefaultRecordLimit = 64 << 10

// leastCompressed is from which length on a record is worth compressing.
const leastCompressed = 2 << 10

// packed is a record that is compressed.
type packed struct {
	Deflate string `json:"deflate"`
}

// flaters are large and reused.
var flaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// pack returns a record of its own, compressed when it is long enough for that.
func pack(record []byte) json.RawMessage {
	if len(record) < leastCompressed {
		return bytes.Clone(record)
	}
	b := packBuffers.Get().(*bytes.Buffer)
	defer packBuffers.Put(b)
	b.Reset()
	w := flaters.Get().(*flate.Writer)
	defer flaters.Put(w)
	w.Reset(b)
	// A buffer takes everything.
	_, _ = w.Write(record)
	_ = w.Close()
	const head, tail = `{"deflate":"`, `"}`
	out := make([]byte, 0, len(head)+base64.StdEncoding.EncodedLen(b.Len())+len(tail))
	out = base64.StdEncoding.AppendEncode(append(out, head...), b.Bytes())
	return append(out, tail...)
}

var packBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxRecord bounds what ReadRecord unpacks.
const maxRecord = 64 << 20

// UnpackRecord returns the JSON of a record that Trace.Record made.
func UnpackRecord(data json.RawMessage) (json.RawMessage, error) {
	if !bytes.HasPrefix(data, []byte(`{"deflate":`)) {
		return data, nil
	}
	var p packed
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(p.Deflate)
	if err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), maxRecord))
	if err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	return out, nil
}

// ReadRecord reads what Trace.Record made.
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
