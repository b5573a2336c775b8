package plan

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/b24rules/b24rules/actions/internal/value"
	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/engine"
)

// keptMemory is how long a write that was not kept is remembered. The event of the
// write starts the next run within seconds.
const keptMemory = 2 * time.Minute

// NoteRefused adds a note for each field that does not have its value after a
// write. The portal ignores values that it cannot read, and computes some fields.
func NoteRefused(c *engine.Call, stored *Record, desired []FieldValue) {
	for _, w := range stored.Differing(desired) {
		c.Note("the portal does not keep field %s: it ignored the value or computes the field", w.Field.Name)
	}
}

// notKept is the key of the memory of the last write of a step that the portal has not
// kept. ok is false if the run is not about the item: only the event of a write to the
// run's own item starts the same run again, without end.
func (s *ItemSchema) notKept(c *engine.Call, id int) (key string, ok bool) {
	return "kept " + c.StepKey, c.Memory != nil && c.Entity.TypeID == s.Type && c.Entity.ID == strconv.Itoa(id)
}

// CheckWrite returns an error if a run has just written the same values into the item,
// the portal answered with success, and the item did not have them afterwards.
func (s *ItemSchema) CheckWrite(ctx context.Context, c *engine.Call, item *Record, values []FieldValue) error {
	key, ok := s.notKept(c, item.ID)
	if !ok {
		return nil
	}
	before, _, err := c.Memory.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("read what the portal has not kept: %w", err)
	}
	digest, at, _ := strings.Cut(before, " ")
	seconds, _ := strconv.ParseInt(at, 10, 64) // 0 is long ago
	if digest != digestOf(values) || time.Since(time.Unix(seconds, 0)) > keptMemory {
		return nil
	}
	return engine.ParkErrorOf(engine.ParkedByLostField, "the portal does not keep field %s of %s: it answered a write with success, and the item had another value afterwards", FieldNames(values), item)
}

// CheckKept compares an item with the values that a write was answered for, and
// remembers for CheckWrite if it does not have them. stored is the item in the answer.
func (s *ItemSchema) CheckKept(ctx context.Context, c *engine.Call, stored *Record, written []FieldValue) error {
	if !stored.shows(written) {
		if err := s.CheckFields(ctx, c, stored, written); err != nil {
			return err
		}
		var err error
		if stored, err = s.Read(ctx, c, stored.ID); err != nil {
			return fmt.Errorf("read whether the portal has kept what was written: %w", err)
		}
	}
	if len(stored.Differing(written)) == 0 {
		return nil
	}
	NoteRefused(c, stored, written)
	if key, ok := s.notKept(c, stored.ID); ok {
		c.Memory.Set(key, fmt.Sprintf("%s %d", digestOf(written), time.Now().Unix()))
	}
	return nil
}

// CheckFields returns an error if the portal no longer has a field that was written: it
// ignores such a field. The answer to a write shows empty fields too, so the portal is
// asked only if it lacks one.
func (s *ItemSchema) CheckFields(ctx context.Context, c *engine.Call, stored *Record, written []FieldValue) error {
	gone, err := s.gone(ctx, c, stored, written)
	if err != nil || gone == nil {
		return err
	}
	return engine.ParkErrorOf(engine.ParkedByMissing, "items of type %d no longer have the field %s, so the portal has ignored its value", s.Type, gone.Name)
}

// checkListed returns an error if the portal no longer has a field of a filter or a select: it
// ignores such a field. The fields of all items are the same.
func (s *ItemSchema) checkListed(ctx context.Context, c *engine.Call, items []*Record, asked []FieldValue) error {
	if len(items) == 0 {
		return nil
	}
	gone, err := s.gone(ctx, c, items[0], asked)
	if err != nil || gone == nil {
		return err
	}
	return engine.ParkErrorOf(engine.ParkedByMissing, "items of type %d no longer have the field %s, so the portal has not applied it", s.Type, gone.Name)
}

// gone returns the first of fields that the portal no longer has. It asks the portal only if
// the item lacks one.
func (s *ItemSchema) gone(ctx context.Context, c *engine.Call, item *Record, fields []FieldValue) (*value.Field, error) {
	unseen := slices.DeleteFunc(slices.Clone(fields), func(v FieldValue) bool {
		_, there := item.Values[v.Field.Name]
		return there || v.Field.Kind == value.KindMultifields // few answers have these
	})
	if len(unseen) == 0 {
		return nil, nil
	}
	if a := c.Portal.Do(ctx, bitrix.DescribeItems(s.Type))[0]; a.Err != nil {
		return nil, fmt.Errorf("read which fields items of type %d have: %w", s.Type, a.Err)
	}
	now, err := LoadItemSchema(ctx, c, s.Type)
	if err != nil {
		return nil, err
	}
	for _, v := range unseen {
		if now.byName[v.Field.Name] == nil {
			return v.Field, nil
		}
	}
	return nil, nil
}

// shows reports whether the record has all the fields, with any value.
func (r *Record) shows(fields []FieldValue) bool {
	return !slices.ContainsFunc(fields, func(v FieldValue) bool {
		_, there := r.Values[v.Field.Name]
		return !there
	})
}

// digestOf is one text for the same fields with the same values.
func digestOf(values []FieldValue) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, v.Field.Name, v.Field.Canonical(v.Value))
	}
	return digest(parts, 8)
}
