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

// AddRobot adds a robot to a stage of a type. Items that are in the stage already do not
// start it.
func (h *Hub) AddRobot(url string, entityTypeID int, stage string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.store.Types[entityTypeID] == nil {
		return fmt.Errorf("no type %d", entityTypeID)
	}
	r := &robot{url: url, typ: entityTypeID, stage: stage, seen: map[int64]string{}}
	for id, it := range h.store.Table(entityTypeID).ByID {
		r.seen[id] = stageOf(it)
	}
	h.robots = append(h.robots, r)
	return nil
}

// CallRobot makes a robot or a business process of an item call a URL once.
func (h *Hub) CallRobot(url string, entityTypeID int, id int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.store.Types[entityTypeID]
	if t == nil || h.store.Item(entityTypeID, id) == nil {
		return fmt.Errorf("no item %d of the type %d", id, entityTypeID)
	}
	h.callRobot(url, t, id, time.Now())
	return nil
}

// startRobots calls the robots of the stages that items have entered. The lock is held.
func (h *Hub) startRobots(due time.Time) {
	for _, r := range h.robots {
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
				h.callRobot(r.url, t, id, due)
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

// callRobot puts a call into the queue of its handler. It has no application token: its
// proof is the address. The lock is held.
func (h *Hub) callRobot(url string, t *model.EntityType, id int64, due time.Time) {
	class := map[int]string{model.TypeLead: "CCrmDocumentLead", model.TypeDeal: "CCrmDocumentDeal", model.TypeContact: "CCrmDocumentContact", model.TypeCompany: "CCrmDocumentCompany"}[t.ID]
	if class == "" {
		class = `Bitrix\Crm\Integration\BizProc\Document\Dynamic`
	}
	domain, endpoint := h.address.Domain(), h.address.Endpoint()
	h.enqueue(delivery{to: &subscription{url: url}, due: due, form: value.Object(
		"document_id", php.List("crm", class, t.Code+"_"+strconv.FormatInt(id, 10)),
		"auth", value.Object("domain", domain, "client_endpoint", endpoint, "server_endpoint", endpoint, "member_id", h.app.MemberID),
	)})
}
