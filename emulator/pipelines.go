package emulator

import (
	"cmp"
	"fmt"
	"slices"
)

// category is a pipeline. Types without pipelines have one all the same, which
// holds their stages.
type category struct {
	id                   int64
	name                 string
	sort                 int64
	byDefault            bool
	originID, originator string
	directory            string // ENTITY_ID of its stages; "" without stages
	prefix               string // of its stages' ids, without the colon
	stages               []stage
}

// stage is an entry of a directory: a stage of a pipeline, or a source, a kind
// of company and so on.
type stage struct {
	row       int64  // its ID in crm.status.list
	id        string // STATUS_ID
	name      string
	color     string
	semantics string // P, S or F; "" outside pipelines
	system    bool
	sort      int64
}

// plan is what a pipeline or a directory begins with.
type plan struct{ id, name, semantics string }

// stageColors are those of the documented answers, in the order of the stages.
var stageColors = [...]string{"#39A8EF", "#2FC6F6", "#55D0E0", "#47E4C2", "#FFA900"}

// newCategory makes a pipeline.
func (s *store) newCategory(c category, stages []plan) *category {
	prefix := ""
	if c.prefix != "" {
		prefix = c.prefix + ":"
	}
	for i, p := range stages {
		st := stage{
			row: s.next("status"), id: prefix + p.id, name: p.name, semantics: p.semantics, sort: int64(i+1) * 10,
			// People can rename or drop the stages in between, but not these.
			system: i == 0 || p.semantics == "S" || p.semantics == "F" && stages[i-1].semantics != "F",
			color:  stageColors[min(i, len(stageColors)-1)],
		}
		switch p.semantics {
		case "S":
			st.color = "#7BD500"
		case "F":
			st.color = "#FF5752"
		}
		c.stages = append(c.stages, st)
	}
	return &c
}

func leadStages() []plan {
	return []plan{
		{"NEW", "Unprocessed", "P"},
		{"IN_PROCESS", "In process", "P"},
		{"PROCESSED", "Processed", "P"},
		{"CONVERTED", "High-quality lead", "S"},
		{"JUNK", "Low-quality lead", "F"},
	}
}

func quoteStages() []plan {
	return []plan{
		{"DRAFT", "New", "P"},
		{"SENT", "Sent to client", "P"},
		{"APPROVED", "Accepted", "S"},
		{"DECLAINED", "Declined", "F"},
	}
}

func dealStages() []plan {
	return []plan{
		{"NEW", "New", "P"},
		{"PREPARATION", "Document preparation", "P"},
		{"PREPAYMENT_INVOICE", "Prepayment invoice", "P"},
		{"EXECUTING", "In progress", "P"},
		{"FINAL_INVOICE", "Final invoice", "P"},
		{"WON", "Deal successful", "S"},
		{"LOSE", "Deal failed", "F"},
		{"APOLOGY", "Failure reason analysis", "F"},
	}
}

func invoiceStages() []plan {
	return []plan{
		{"N", "New", "P"},
		{"S", "Sent to client", "P"},
		{"P", "Paid", "S"},
		{"D", "Unpaid", "F"},
	}
}

func dynamicStages() []plan {
	return []plan{
		{"NEW", "Start", "P"},
		{"PREPARATION", "Preparation", "P"},
		{"CLIENT", "Approval", "P"},
		{"SUCCESS", "Success", "S"},
		{"FAIL", "Fail", "F"},
	}
}

// dealCategory makes a pipeline of deals. Stage ids of the first one, 0, have no
// prefix; those of pipeline 9 are C9:NEW and so on.
func (s *store) dealCategory(id int64, name string) *category {
	c := category{id: id, name: name, sort: 300, byDefault: true, directory: "DEAL_STAGE"}
	if id != 0 {
		c.sort, c.byDefault = 200, false
		c.prefix, c.directory = fmt.Sprintf("C%d", id), fmt.Sprintf("DEAL_STAGE_%d", id)
	}
	return s.newCategory(c, dealStages())
}

// dynamicCategory makes a pipeline of a smart process.
func (s *store) dynamicCategory(entityTypeID int, name string) *category {
	id := s.next("category")
	return s.newCategory(category{
		id: id, name: name, sort: 500,
		prefix: fmt.Sprintf("DT%d_%d", entityTypeID, id), directory: fmt.Sprintf("DYNAMIC_%d_STAGE_%d", entityTypeID, id),
	}, dynamicStages())
}

// clientCategory is the category that contacts and companies have.
func clientCategory() []*category {
	return []*category{{name: "General", sort: 100, byDefault: true}}
}

func (t *entityType) category(id int64) *category {
	for _, c := range t.categories {
		if c.id == id {
			return c
		}
	}
	return nil
}

// defaultCategory is the pipeline of items that name none.
func (t *entityType) defaultCategory() *category {
	for _, c := range t.categories {
		if c.byDefault {
			return c
		}
	}
	return t.categories[0]
}

// stage finds a stage in a pipeline.
func (c *category) stage(id string) (stage, bool) {
	i := slices.IndexFunc(c.stages, func(s stage) bool { return s.id == id })
	if i < 0 {
		return stage{}, false
	}
	return c.stages[i], true
}

// statusDirectory names the directory of a status field.
func (t *entityType) statusDirectory(directory string) string {
	if directory == stageDirectory {
		return t.defaultCategory().directory
	}
	return directory
}

func (s *store) addDealCategory(name string) *category {
	deals := s.types[typeDeal]
	id := s.next("deal category")
	c := s.dealCategory(id, cmp.Or(name, fmt.Sprintf("Pipeline %d", id)))
	deals.categories = append(deals.categories, c)
	return c
}
