package events

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/internal/php"
)

// robot calls a URL each time that an item of a type enters a stage, with the outgoing
// webhook of automation rules.
type robot struct {
	url   string
	typ   int
	stage string
	seen  map[int64]string // the stage of each item
}

// Robots are the robots and business processes that call others. They share the lock and the
// queues of the hub.
type Robots struct {
	hub *Hub
	all []*robot
}

// Add adds a robot to a stage of a type. Items that are in the stage already do not
// start it.
func (x *Robots) Add(url string, entityTypeID int, stage string) error {
	h := x.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.store.Types[entityTypeID] == nil {
		return fmt.Errorf("no type %d", entityTypeID)
	}
	r := &robot{url: url, typ: entityTypeID, stage: stage, seen: map[int64]string{}}
	for id, it := range h.store.Table(entityTypeID).ByID {
		r.seen[id] = stageOf(it)
	}
	x.all = append(x.all, r)
	return nil
}

// Call makes a robot or a business process of an item call a URL once.
func (x *Robots) Call(url string, entityTypeID int, id int64) error {
	h := x.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.store.Types[entityTypeID]
	if t == nil || h.store.Item(entityTypeID, id) == nil {
		return fmt.Errorf("no item %d of the type %d", id, entityTypeID)
	}
	x.call(url, t, id, time.Now())
	return nil
}

// start calls the robots of the stages that items have entered. The lock is held.
func (x *Robots) start(due time.Time) {
	h := x.hub
	for _, r := range x.all {
		t := h.store.Types[r.typ]
		if t == nil {
			continue
		}
		items := h.store.Table(r.typ).ByID
		for _, id := range slices.Sorted(maps.Keys(items)) {
			stage := stageOf(items[id])
			if stage == r.seen[id] {
				continue
			}
			if r.seen[id] = stage; stage == r.stage {
				x.call(r.url, t, id, due)
			}
		}
	}
}

func stageOf(it *model.Item) string {
	stage := it.Values["STAGE_ID"]
	if it.Type.ID == model.TypeLead {
		stage = it.Values["STATUS_ID"]
	}
	return fmt.Sprint(query.Plain(stage))
}

// call puts a call into the queue of its handler. It has no application token: its
// proof is the address. The lock is held.
func (x *Robots) call(url string, t *model.EntityType, id int64, due time.Time) {
	class := map[int]string{model.TypeLead: "CCrmDocumentLead", model.TypeDeal: "CCrmDocumentDeal", model.TypeContact: "CCrmDocumentContact", model.TypeCompany: "CCrmDocumentCompany"}[t.ID]
	if class == "" {
		class = `Bitrix\Crm\Integration\BizProc\Document\Dynamic`
	}
	h := x.hub
	domain, endpoint := h.address.Domain(), h.address.Endpoint()
	h.enqueue(delivery{to: &subscription{url: url}, due: due, form: value.Object(
		"document_id", php.List("crm", class, t.Code+"_"+strconv.FormatInt(id, 10)),
		"auth", value.Object("domain", domain, "client_endpoint", endpoint, "server_endpoint", endpoint, "member_id", h.app.MemberID),
	)})
}
