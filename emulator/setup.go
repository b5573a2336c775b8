package emulator

import (
	"fmt"
	"strings"
	"time"

	"github.com/b24rules/b24rules/emulator/internal/crm"
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/rest"
)

// What a test sets up in a portal.
type (
	// Type is a smart process, as a person sets one up in the portal.
	Type = model.Type
	// Pipeline is a pipeline with its stages.
	Pipeline = model.Pipeline
	// PipelineStage is a stage of a pipeline.
	PipelineStage = model.PipelineStage
	// UserField is a custom field of a type of item.
	UserField = model.UserField
	// List is a universal list, as a person sets one up in the portal.
	List = model.List
	// ListField is a field of a list.
	ListField = model.ListField
	// User is a user of the portal.
	User = model.User
	// Tokens are the credentials of an application.
	Tokens = rest.Tokens
	// Others are applications that send requests from the same address as the
	// client. The bucket is one for all of them.
	Others = rest.Others
	// Change is one change of an item or of a list's element.
	Change = rest.Change
	// Notification is a message to a user in the portal's messenger.
	Notification = model.Notification
)

// AddType sets up a smart process and returns its entityTypeId. A type that
// exists already is replaced; its items stay.
func (p *Portal) AddType(t model.Type) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.AddType(t, time.Now())
}

// AddUserField gives a type of items one more custom field: 1 leads, 2 deals, 3
// contacts, 4 companies, 7 estimates, 31 smart invoices, or a smart process.
func (p *Portal) AddUserField(entityTypeID int, f model.UserField) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.store.Types[entityTypeID]
	if t == nil {
		return fmt.Errorf("there is no type %d: add it with AddType first", entityTypeID)
	}
	if t.Fields.ByName[strings.ToUpper(f.Name)] != nil {
		return fmt.Errorf("type %d has a field %s already", entityTypeID, f.Name)
	}
	t.Fields.Add(p.store.NewCustomField(f))
	return nil
}

// AddList sets up a list and returns its IBLOCK_ID.
func (p *Portal) AddList(l model.List) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.store.AddList(l).ID)
}

// AddListField gives a list one more field and returns its name, such as
// PROPERTY_101.
func (p *Portal) AddListField(iblockID int, f model.ListField) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.store.Lists[int64(iblockID)]
	if b == nil {
		return "", fmt.Errorf("there is no list %d: add it with AddList first", iblockID)
	}
	return p.store.AddListField(b, f).Name, nil
}

// AddDealCategory sets up one more pipeline of deals and returns its id.
func (p *Portal) AddDealCategory() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.store.AddDealCategory("").ID)
}

// SetPipelines gives a type of items other pipelines. The first one
// is the default. Deals keep pipeline 0 if it is not among them.
func (p *Portal) SetPipelines(entityTypeID int, pipelines ...model.Pipeline) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.store.Types[entityTypeID]
	if t == nil {
		return fmt.Errorf("there is no type %d: add it with AddType first", entityTypeID)
	}
	return p.store.SetPipelines(t, pipelines)
}

// AddParent lets items of one type be parents of another's: a parent 2 gives the
// children the field parentId2.
func (p *Portal) AddParent(child, parent int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range []int{child, parent} {
		if p.store.Types[id] == nil {
			return fmt.Errorf("there is no type %d: add it with AddType first", id)
		}
	}
	p.store.AddParent(child, parent)
	return nil
}

// NextItemID makes the next item of a type get an id, so that a test can call
// its items by the ids it likes. Ids only grow.
func (p *Portal) NextItemID(entityTypeID int, id int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.NextID(crm.ItemCounter(entityTypeID), id)
}

// NextElementID makes the next element of any list get an id. Ids only grow.
func (p *Portal) NextElementID(id int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.NextID("element", id)
}

// AddUser adds a user and returns the id. An id that is there is replaced;
// user 1 is the administrator whom the inbound webhook belongs to.
func (p *Portal) AddUser(u model.User) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.ID == 0 {
		u.ID = p.store.Next("user")
	}
	p.store.Reserve("user", u.ID)
	p.store.Users[u.ID] = &u
	return u.ID
}
