package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Category is a pipeline. Types without pipelines have one all the same, which
// holds their stages.
type Category struct {
	ID                   int64
	Name                 string
	Sort                 int64
	ByDefault            bool
	OriginID, Originator string
	Directory            string // ENTITY_ID of its stages; "" without stages
	Prefix               string // of its stages' ids, without the colon
	Stages               []Stage
}

// Stage is an entry of a directory: a stage of a pipeline, or a source, a kind
// of company and so on.
type Stage struct {
	Row       int64  // its ID in crm.status.list
	ID        string // STATUS_ID
	Name      string
	Color     string
	Semantics string // P, S or F; "" outside pipelines
	System    bool
	Sort      int64
}

// StagePlan is a stage of a new pipeline or directory.
type StagePlan struct{ id, name, semantics string }

// stageColors are those of the documented answers, in the order of the stages.
var stageColors = [...]string{"#39A8EF", "#2FC6F6", "#55D0E0", "#47E4C2", "#FFA900"}

// NewCategory makes a pipeline.
func (s *Store) NewCategory(c Category, stages []StagePlan) *Category {
	prefix := ""
	if c.Prefix != "" {
		prefix = c.Prefix + ":"
	}
	for i, p := range stages {
		st := Stage{
			Row: s.Next("status"), ID: prefix + p.id, Name: p.name, Semantics: p.semantics, Sort: int64(i+1) * 10,
			// People can rename or drop the stages in between, but not these.
			System: i == 0 || p.semantics == "S" || p.semantics == "F" && stages[i-1].semantics != "F",
			Color:  stageColors[min(i, len(stageColors)-1)],
		}
		switch p.semantics {
		case "S":
			st.Color = "#7BD500"
		case "F":
			st.Color = "#FF5752"
		}
		c.Stages = append(c.Stages, st)
	}
	return &c
}

// Pipeline is a pipeline as a person sets one up in the portal.
type Pipeline struct {
	// ID is its id. Deals always have pipeline 0.
	ID   int64
	Name string
	// Stages are its stages in order. None takes the stages that the portal gives a
	// new pipeline of the type.
	Stages []PipelineStage
}

// PipelineStage is a stage of a new pipeline.
type PipelineStage struct {
	// ID is the stage's id, with the prefix of its pipeline or without: NEW, C9:NEW.
	ID, Name string
	// Semantics is P (in process), S (success) or F (failure).
	Semantics string
}

// SetPipelines gives a type these pipelines. The first one is the default. Deals keep
// pipeline 0 if it is not among them; leads and estimates have only pipeline 0.
func (s *Store) SetPipelines(t *EntityType, pipelines []Pipeline) error {
	var made []*Category
	for _, p := range pipelines {
		c, plan, err := s.pipelineOf(t, p)
		if err != nil {
			return err
		}
		for i, st := range p.Stages {
			if i == 0 {
				plan = nil
			}
			plan = append(plan, StagePlan{strings.TrimPrefix(st.ID, c.Prefix+":"), cmp.Or(st.Name, st.ID), st.Semantics})
		}
		made = append(made, s.NewCategory(c, plan))
	}
	if t.ID == TypeDeal && !slices.ContainsFunc(made, func(c *Category) bool { return c.ID == 0 }) {
		made = append([]*Category{t.Category(0)}, made...)
	}
	for i, c := range made {
		c.ByDefault = i == 0
	}
	t.Categories = made
	return nil
}

// pipelineOf returns a pipeline without stages, and those that the portal gives it.
func (s *Store) pipelineOf(t *EntityType, p Pipeline) (Category, []StagePlan, error) {
	c := Category{ID: p.ID, Name: cmp.Or(p.Name, fmt.Sprintf("Pipeline %d", p.ID)), Sort: 500}
	switch {
	case t.ID == TypeContact || t.ID == TypeCompany:
		return c, nil, fmt.Errorf("items of type %d have no stages", t.ID)
	case t.ID == TypeLead || t.ID == TypeQuote:
		if p.ID != 0 {
			return c, nil, fmt.Errorf("items of type %d have only pipeline 0", t.ID)
		}
		c.Name, c.Directory = t.Categories[0].Name, t.Categories[0].Directory
		if t.ID == TypeLead {
			return c, leadStages(), nil
		}
		return c, quoteStages(), nil
	case t.ID == TypeDeal:
		s.Reserve("deal category", p.ID)
		c = dealPipeline(p.ID, c.Name)
		return c, dealStages(), nil
	case p.ID == 0:
		return c, nil, fmt.Errorf("items of type %d have no pipeline 0", t.ID)
	case t.ID == TypeSmartInvoice:
		s.Reserve("category", p.ID)
		c.Prefix, c.Directory = fmt.Sprintf("DT31_%d", p.ID), fmt.Sprintf("SMART_INVOICE_STAGE_%d", p.ID)
		return c, InvoiceStages(), nil
	}
	s.Reserve("category", p.ID)
	c = dynamicPipeline(t.ID, p.ID, c.Name)
	return c, dynamicStages(), nil
}

func leadStages() []StagePlan {
	return []StagePlan{
		{"NEW", "Unprocessed", "P"},
		{"IN_PROCESS", "In process", "P"},
		{"PROCESSED", "Processed", "P"},
		{"CONVERTED", "High-quality lead", "S"},
		{"JUNK", "Low-quality lead", "F"},
	}
}

func quoteStages() []StagePlan {
	return []StagePlan{
		{"DRAFT", "New", "P"},
		{"SENT", "Sent to client", "P"},
		{"APPROVED", "Accepted", "S"},
		{"DECLAINED", "Declined", "F"},
	}
}

func dealStages() []StagePlan {
	return []StagePlan{
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

func InvoiceStages() []StagePlan {
	return []StagePlan{
		{"N", "New", "P"},
		{"S", "Sent to client", "P"},
		{"P", "Paid", "S"},
		{"D", "Unpaid", "F"},
	}
}

func dynamicStages() []StagePlan {
	return []StagePlan{
		{"NEW", "Start", "P"},
		{"PREPARATION", "Preparation", "P"},
		{"CLIENT", "Approval", "P"},
		{"SUCCESS", "Success", "S"},
		{"FAIL", "Fail", "F"},
	}
}

func (s *Store) dealCategory(id int64, name string) *Category {
	return s.NewCategory(dealPipeline(id, name), dealStages())
}

// dealPipeline is a pipeline of deals without its stages. Stage ids of the first one, 0,
// have no prefix; those of pipeline 9 are C9:NEW and so on.
func dealPipeline(id int64, name string) Category {
	c := Category{ID: id, Name: name, Sort: 300, ByDefault: true, Directory: "DEAL_STAGE"}
	if id != 0 {
		c.Sort, c.ByDefault = 200, false
		c.Prefix, c.Directory = fmt.Sprintf("C%d", id), fmt.Sprintf("DEAL_STAGE_%d", id)
	}
	return c
}

// DynamicCategory makes a pipeline of a smart process.
func (s *Store) DynamicCategory(entityTypeID int, name string) *Category {
	return s.NewCategory(dynamicPipeline(entityTypeID, s.Next("category"), name), dynamicStages())
}

// dynamicPipeline is a pipeline of a smart process without its stages.
func dynamicPipeline(entityTypeID int, id int64, name string) Category {
	return Category{
		ID: id, Name: name, Sort: 500,
		Prefix: fmt.Sprintf("DT%d_%d", entityTypeID, id), Directory: fmt.Sprintf("DYNAMIC_%d_STAGE_%d", entityTypeID, id),
	}
}

// clientCategory is the category that contacts and companies have.
func clientCategory() []*Category {
	return []*Category{{Name: "General", Sort: 100, ByDefault: true}}
}

func (t *EntityType) Category(id int64) *Category {
	for _, c := range t.Categories {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// DefaultCategory is the pipeline of items that name none.
func (t *EntityType) DefaultCategory() *Category {
	for _, c := range t.Categories {
		if c.ByDefault {
			return c
		}
	}
	return t.Categories[0]
}

// Stage finds a stage in a pipeline.
func (c *Category) Stage(id string) (Stage, bool) {
	i := slices.IndexFunc(c.Stages, func(s Stage) bool { return s.ID == id })
	if i < 0 {
		return Stage{}, false
	}
	return c.Stages[i], true
}

// StatusDirectory names the directory of a status field.
func (t *EntityType) StatusDirectory(directory string) string {
	if directory == stageDirectory {
		return t.DefaultCategory().Directory
	}
	return directory
}

func (s *Store) AddDealCategory(name string) *Category {
	deals := s.Types[TypeDeal]
	id := s.Next("deal category")
	c := s.dealCategory(id, cmp.Or(name, fmt.Sprintf("Pipeline %d", id)))
	deals.Categories = append(deals.Categories, c)
	return c
}
