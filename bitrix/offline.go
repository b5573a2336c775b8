package bitrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
	"github.com/b24rules/b24rules/internal/php"
)

func offlineBatch(process string, records []offlineRecord) OfflineBatch {
	b := OfflineBatch{Process: process}
	for _, r := range records {
		e, err := r.event()
		if err != nil {
			b.Broken = append(b.Broken, r.MessageID)
			continue
		}
		b.Events = append(b.Events, e)
	}
	return b
}

// event reads a record as the event that a portal would have posted.
func (r offlineRecord) event() (OfflineEvent, error) {
	e := OfflineEvent{ID: wire.Text(r.ID), MessageID: r.MessageID, Event: Event{Code: strings.ToUpper(r.Name), Data: php.NewArray()}}
	if e.Code == "" || len(e.Code) > maxCode || strings.IndexFunc(e.Code, notCode) >= 0 {
		return e, fmt.Errorf("record %s has no event", e.ID)
	}
	if at, err := time.Parse(time.RFC3339, r.Changed); err == nil {
		e.Time = at
	}
	dec := json.NewDecoder(bytes.NewReader(r.Data))
	dec.UseNumber()
	var data map[string]any
	if err := dec.Decode(&data); err != nil {
		return e, fmt.Errorf("record %s has no data", e.ID) // such as false
	}
	v, err := php.FromGo(asPosted(data))
	a, ok := v.(*php.Array)
	if err != nil || !ok {
		return e, fmt.Errorf("record %s has no data", e.ID)
	}
	e.Data = a
	return e, nil
}

// asPosted makes all scalars text, as they are in a form.
func asPosted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = asPosted(v[k])
		}
	case []any:
		for i := range v {
			v[i] = asPosted(v[i])
		}
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "1"
		}
		return "0"
	case nil:
		return ""
	}
	return v
}
