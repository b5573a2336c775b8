package catchup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/b24rules/b24rules/bitrix"
)

// Portal sends the requests of a feeder. *bitrix.Client is one.
type Portal interface {
	Do(ctx context.Context, calls ...bitrix.Call) []bitrix.Answer
	ListFields(ctx context.Context, iblockType string, iblockID int) (*bitrix.ListFields, error)
}

// A badAnswer is an answer of a portal that cannot be used. Another request would
// give the same.
type badAnswer struct{ error }

func badAnswerf(format string, args ...any) error { return badAnswer{fmt.Errorf(format, args...)} }

// Permanent reports whether another request to the portal would fail too: the portal
// refuses, or its answer cannot be used. A portal that does not answer, or a
// database, may be asked again.
func Permanent(err error) bool {
	var rest *bitrix.Error
	if errors.As(err, &rest) {
		return !rest.Temporary()
	}
	return errors.As(err, &badAnswer{})
}

// pageSize is the number of rows that the portal returns at once.
const pageSize = 50

// Now returns the portal's time.
func Now(ctx context.Context, p Portal) (time.Time, error) {
	a := p.Do(ctx, bitrix.Call{Method: "server.time"})[0]
	if a.Err != nil {
		return time.Time{}, a.Err
	}
	var text string
	if err := json.Unmarshal(a.Result, &text); err != nil {
		return time.Time{}, badAnswerf("server.time: %w", err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, badAnswerf("server.time answered %.40q", text)
	}
	return at, nil
}

// Count returns how many entities of a type exist, or have changed since a time.
func Count(ctx context.Context, p Portal, typeID int, since time.Time) (int, error) {
	params := itemParams(typeID, since, "id")
	params["order"], params["start"] = map[string]any{"id": "ASC"}, 0
	a := p.Do(ctx, bitrix.Call{Method: methodItems, Params: params})[0]
	rows, more, err := bitrix.FirstPage(methodItems, a, "items")
	if err != nil || a.Total >= 0 || !more {
		return max(a.Total, len(rows)), err
	}
	return 0, badAnswerf("%s: the portal does not say how many entities it has", methodItems)
}

const methodItems = "crm.item.list"

// Reader reads what jobs need from one portal. Only one goroutine may use it.
type Reader struct {
	portal   Portal
	listings map[string]*bitrix.Listing // they know what the portal supports

	job string        // for which ids were read
	ids map[int][]int // the ids of all entities of a type, in order

	reading []int // those of the type that the job is reading
}

// NewReader returns a reader of a portal.
func NewReader(p Portal) *Reader {
	return &Reader{portal: p, listings: map[string]*bitrix.Listing{}, ids: map[int][]int{}}
}

// pageRows is the most rows that one request reads.
const pageRows = 1000

// after reads the next rows of a listing. key tells the listings of a job apart.
func (r *Reader) after(ctx context.Context, key string, listing func() *bitrix.Listing, after int) ([]bitrix.Row, error) {
	l := r.listings[key]
	if l == nil {
		if len(r.listings) >= 1000 {
			clear(r.listings)
		}
		l = listing()
		r.listings[key] = l
	}
	return l.After(ctx, r.portal.Do, after)
}

// filtered adds conditions to a listing.
func filtered(params, filter map[string]any) map[string]any {
	if len(filter) > 0 {
		all := maps.Clone(filter)
		old, _ := params["filter"].(map[string]any)
		maps.Copy(all, old)
		params["filter"] = all
	}
	return params
}

func itemParams(typeID int, since time.Time, fields ...string) map[string]any {
	names := make([]any, len(fields))
	for i, f := range fields {
		names[i] = f
	}
	params := map[string]any{"entityTypeId": typeID, "select": names}
	if !since.IsZero() {
		params["filter"] = map[string]any{">=updatedTime": since.Format(time.RFC3339)}
	}
	return params
}

// page reads the ids of the next entities of a type, after an id. more is false at the
// end, which is a page without rows. Entities that do not match the filter are skipped.
func (r *Reader) page(ctx context.Context, typeID int, since time.Time, filter map[string]any, after int) (ids []int, last int, more bool, err error) {
	rows, err := r.after(ctx, fmt.Sprint("page ", typeID, since, filter), func() *bitrix.Listing {
		return bitrix.Items(filtered(itemParams(typeID, since, "id", "updatedTime"), filter))
	}, after)
	if err != nil {
		return nil, 0, false, err
	}
	last = after
	for _, row := range rows {
		var it struct {
			Updated string `json:"updatedTime"`
		}
		if err := json.Unmarshal(row.Raw, &it); err != nil {
			return nil, 0, false, badAnswerf("%s: %w", methodItems, err)
		}
		last = row.ID
		// An entity whose time cannot be read may have changed.
		if at, err := time.Parse(time.RFC3339, it.Updated); err == nil && !since.IsZero() && at.Before(since) {
			continue
		}
		ids = append(ids, row.ID)
	}
	return ids, last, len(rows) > 0, nil
}

// records is the listing of the records of a place.
func (l Leftover) records() *bitrix.Listing {
	if l.List > 0 {
		return bitrix.Elements(map[string]any{"IBLOCK_TYPE_ID": l.ListType, "IBLOCK_ID": l.List})
	}
	return bitrix.Items(itemParams(l.EntityTypeID, time.Time{}, "id", l.Field))
}

// owners reads the next records of a place and returns the ids of the entities that
// they belong to. all says that the place has no other records.
func (r *Reader) owners(ctx context.Context, place Leftover, after int) (ids []int, last int, more, all bool, err error) {
	field := place.Field
	if place.List > 0 {
		fields, err := r.portal.ListFields(ctx, place.ListType, place.List)
		if err != nil {
			return nil, 0, false, false, err
		}
		f, err := fields.Lookup(place.Field)
		if err != nil {
			return nil, 0, false, false, badAnswerf("%w", err)
		}
		field = f.ID
	}
	rows, err := r.after(ctx, fmt.Sprintf("owners %+v", place), place.records, after)
	if err != nil {
		return nil, 0, false, false, err
	}
	last = after
	seen := map[int]bool{}
	for _, row := range rows {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(row.Raw, &members); err != nil {
			return nil, 0, false, false, badAnswerf("record %d: %w", row.ID, err)
		}
		last = row.ID
		for _, owner := range numbers(members[field]) {
			seen[owner] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), last, len(rows) > 0, after == 0 && len(rows) < pageRows, nil
}

// numbers reads the ids in a value: a number, text, a property's {valueId:
// value}, a list of these; links to the CRM are written D_759.
func numbers(raw json.RawMessage) []int {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []int
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case float64:
			out = append(out, int(v))
		case string:
			if i := strings.LastIndexByte(v, '_'); i >= 0 {
				v = v[i+1:]
			}
			if n, err := strconv.Atoi(v); err == nil {
				out = append(out, n)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return slices.DeleteFunc(out, func(n int) bool { return n <= 0 })
}

// CountAll sets the total of a job to the number of its entities.
func (j *Job) CountAll(ctx context.Context, p Portal) error {
	j.Total = 0
	for _, typ := range j.Types {
		n, err := Count(ctx, p, typ, j.Since)
		if err != nil {
			return err
		}
		j.Total += n
	}
	return nil
}

// EachPage counts the entities of a job and calls do with them, page by page. It does not store the
// job. After each page it calls seen.
func (j *Job) EachPage(ctx context.Context, p Portal, seen func(j *Job), do func(typeID int, ids []int) error) error {
	if err := j.CountAll(ctx, p); err != nil {
		return err
	}
	r := NewReader(p)
	for more := true; more; {
		var typeID int
		var ids []int
		var err error
		if typeID, ids, more, err = j.Next(ctx, r); err != nil {
			return err
		}
		if err := do(typeID, ids); err != nil {
			return err
		}
		seen(j)
	}
	return nil
}

// Next reads the next entities of a job, and advances the job without storing it.
// more is false at its end.
func (j *Job) Next(ctx context.Context, r *Reader) (typeID int, ids []int, more bool, err error) {
	if err := j.findEnds(ctx, r); err != nil {
		return 0, nil, false, err
	}
	var again bool
	switch {
	case j.Stage >= j.stages():
		return 0, nil, false, nil
	case j.Stage < len(j.Types):
		typeID = j.Types[j.Stage]
		last := j.After
		ids, j.After, again, err = r.page(ctx, typeID, j.Since, j.Filter, last)
		j.Seen, j.Read = j.Seen+len(ids), j.Read+len(ids)
		if err == nil && j.Since.IsZero() && len(j.Filter) == 0 { // what a filter finds changes while it is read
			r.note(j, last, ids)
			if !again {
				err = r.wholeType(ctx, typeID, last, j.Read)
			}
			if err == nil && !again && len(r.reading) == j.Read {
				r.ids[typeID] = r.reading
			}
		}
	default:
		typeID = j.Leftovers[j.Stage-len(j.Types)].TypeID
		ids, again, err = j.missing(ctx, r)
		j.Orphans += len(ids)
	}
	if err != nil {
		return 0, nil, false, err
	}
	if !again {
		j.nextStage()
	}
	return typeID, ids, j.Stage < j.stages(), nil
}

// unknownEnd is the entry in Job.Ends of a place whose end is not known.
const unknownEnd = -1

// findEnds notes where the places end before the job's runs add records to them. A place
// whose end the portal does not tell is read to its end.
func (j *Job) findEnds(ctx context.Context, r *Reader) error {
	if len(j.Ends) == len(j.Leftovers) {
		return nil
	}
	ends, errs := make([]int, len(j.Leftovers)), make([]error, len(j.Leftovers))
	var reads sync.WaitGroup
	for i, place := range j.Leftovers {
		reads.Go(func() {
			id, known, err := place.records().Highest(ctx, r.portal.Do)
			if ends[i] = id; !known {
				ends[i] = unknownEnd
			}
			if err != nil && !Permanent(err) {
				errs[i] = err
			}
		})
	}
	reads.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	j.Ends = ends
	return nil
}

// note keeps the ids that a job has read after an id: the search for what deleted entities
// left needs them again. They are not whole if another process has read the first ones.
func (r *Reader) note(j *Job, after int, ids []int) {
	r.begin(j.id())
	if after == 0 {
		r.reading = []int{}
	}
	r.reading = append(r.reading, ids...)
}

// begin forgets the ids of another job.
func (r *Reader) begin(job string) {
	if r.job != job {
		r.job, r.reading = job, nil
		clear(r.ids)
	}
}

const (
	// mostGone is how many entities of a place, and leastGone how many of a small one,
	// may be missing at once. A tenth may be missing in between.
	mostGone, leastGone = 50, 5
)

// missing reads the next records of the current place. At its end it returns the
// entities that do not exist any more, unless so many are missing that the user of the
// credentials may have lost the right to see them.
func (j *Job) missing(ctx context.Context, r *Reader) (ids []int, again bool, err error) {
	place := j.Leftovers[j.Stage-len(j.Types)]
	end := j.Ends[j.Stage-len(j.Types)]
	if end == 0 {
		return nil, false, nil
	}
	owners, last, again, all, err := r.owners(ctx, place, j.After)
	if err != nil {
		return nil, false, err
	}
	again = again && (end == unknownEnd || last < end)
	if len(owners) > 0 {
		if ids, err = r.gone(ctx, j.id(), place.TypeID, owners, all); err != nil {
			return nil, false, err
		}
	}
	j.After, j.Owners = last, j.Owners+len(owners)
	if j.Ordered || j.Gone {
		return ids, again, nil
	}
	j.Missing = append(slices.Clone(j.Missing), ids...)
	slices.Sort(j.Missing)
	j.Missing = slices.Compact(j.Missing)
	most := mostGone
	if !again {
		most = min(mostGone, max(leastGone, j.Owners/10))
	}
	switch n := len(j.Missing); {
	case n > most:
		return nil, false, &LimitError{fmt.Sprintf("%d of %d entities of type %d with records in %s are missing at once: check that the user of the credentials still sees them", n, j.Owners, place.TypeID, place)}
	case again:
		return nil, true, nil
	}
	return j.Missing, false, nil
}

// wholeType checks at the end of a type that its pages had as many entities as the portal
// says that it has. Those that were added since have ids above last.
func (r *Reader) wholeType(ctx context.Context, typeID, last, read int) error {
	if last == 0 {
		return nil // not even the first page had a row, and the job has counted before
	}
	params := itemParams(typeID, time.Time{}, "id")
	params["filter"], params["start"] = map[string]any{"<=id": last}, 0
	a := r.portal.Do(ctx, bitrix.Call{Method: methodItems, Params: params})[0]
	if _, err := bitrix.DecodeRows(methodItems, a, "items"); err != nil { // only the total is of interest
		return err
	}
	if a.Total > read {
		return badAnswerf("%s: the portal has %d entities of type %d, and its pages had %d", methodItems, a.Total, typeID, read)
	}
	return nil
}

// gone returns the entities that do not exist. It does not trust the portal's lists: it
// requests each entity that they did not have. few says that these are all entities that
// are asked for, so that a filter by their ids is cheaper than the ids of all.
func (r *Reader) gone(ctx context.Context, job string, typeID int, ids []int, few bool) ([]int, error) {
	r.begin(job)
	var exist []int
	var err error
	if few {
		exist, err = r.existing(ctx, typeID, ids)
	} else {
		exist, err = r.allIDs(ctx, typeID)
	}
	if err != nil {
		return nil, err
	}
	var calls []bitrix.Call
	var asked []int
	for _, id := range ids {
		if _, found := slices.BinarySearch(exist, id); !found {
			asked = append(asked, id)
			calls = append(calls, bitrix.Call{Method: "crm.item.get", Params: map[string]any{"entityTypeId": typeID, "id": id}})
		}
	}
	var out []int
	for i, a := range r.portal.Do(ctx, calls...) {
		switch {
		case bitrix.IsNotFound(a.Err):
			out = append(out, asked[i])
		case a.Err != nil:
			return nil, a.Err
		}
	}
	return out, nil
}

// existing returns those of the ids that a type has, in order.
func (r *Reader) existing(ctx context.Context, typeID int, ids []int) ([]int, error) {
	var calls []bitrix.Call
	for part := range slices.Chunk(ids, pageSize) {
		filter := make([]any, len(part))
		for i, id := range part {
			filter[i] = id
		}
		calls = append(calls, bitrix.Call{Method: methodItems, Params: map[string]any{
			"entityTypeId": typeID, "select": []any{"id"}, "filter": map[string]any{"@id": filter}, "start": -1,
		}})
	}
	var exist []int
	for _, a := range r.portal.Do(ctx, calls...) {
		rows, err := bitrix.DecodeRows(methodItems, a, "items")
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			var it struct {
				ID bitrix.ID `json:"id"`
			}
			if err := json.Unmarshal(row, &it); err != nil {
				return nil, badAnswerf("%s: %w", methodItems, err)
			}
			exist = append(exist, int(it.ID))
		}
	}
	slices.Sort(exist)
	return exist, nil
}

// allIDs returns the ids of all entities of a type, in order. They are read once for a
// job; a million of them take 8 MB.
func (r *Reader) allIDs(ctx context.Context, typeID int) ([]int, error) {
	if ids, ok := r.ids[typeID]; ok {
		return ids, nil
	}
	l := bitrix.Items(itemParams(typeID, time.Time{}, "id"))
	ids := []int{}
	for last := 0; ; {
		rows, err := l.After(ctx, r.portal.Do, last)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			r.ids[typeID] = ids
			return ids, nil
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		last = ids[len(ids)-1]
	}
}
