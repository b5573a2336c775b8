package history

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// leastCompressed is the least length of a record that is compressed.
const leastCompressed = 256

// dictionary has the texts that most records have, the most frequent ones last. A record
// that is compressed with it takes a third of what it would take otherwise. The stored
// records can be read only with it: a new one needs a new member of packed.
//
//go:embed dictionary1.txt
var dictionary []byte

// packed is a compressed record.
type packed struct {
	Deflate  *string `json:"deflate"`  // of older versions, without the dictionary
	Deflate1 *string `json:"deflate1"` // with it
}

// flaters holds compressors, which are large.
var flaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// pack returns a copy of a record, compressed if it is long enough.
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
	// Writing to a buffer never fails. flate.NewWriterDict ignores a dictionary at this
	// level and is five times slower at the next one. So the dictionary is compressed before
	// the record, and its bytes are dropped.
	_, _ = w.Write(dictionary)
	_ = w.Flush()
	b.Reset()
	_, _ = w.Write(record)
	_ = w.Close()
	const head, tail = `{"deflate1":"`, `"}`
	out := make([]byte, 0, len(head)+base64.StdEncoding.EncodedLen(b.Len())+len(tail))
	out = base64.StdEncoding.AppendEncode(append(out, head...), b.Bytes())
	return append(out, tail...)
}

var packBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxRecord bounds the length of an unpacked record.
const maxRecord = 64 << 20

// UnpackRecord returns the JSON of a record from Trace.Record.
func UnpackRecord(data json.RawMessage) (json.RawMessage, error) {
	if !bytes.HasPrefix(data, []byte(`{"deflate`)) {
		return data, nil
	}
	var p packed
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	text, known := p.Deflate1, dictionary
	if text == nil {
		text, known = p.Deflate, nil
	}
	if text == nil {
		return nil, fmt.Errorf("read the record of a run: a newer version of b24rules has compressed it: %.20s", data)
	}
	raw, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(raw), known), maxRecord))
	if err != nil {
		return nil, fmt.Errorf("read the record of a run: %w", err)
	}
	return out, nil
}
