package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/b24rules/b24rules/bitrix"
	"github.com/b24rules/b24rules/emulator"
	"github.com/b24rules/b24rules/internal/app/config"
	"github.com/b24rules/b24rules/internal/app/demo"
	"github.com/b24rules/b24rules/internal/app/fleet"
	"github.com/b24rules/b24rules/internal/app/testkit"
	"github.com/b24rules/b24rules/internal/journal"
)

// changeRules use each word that remembers: a roll-up with start, entered, once with
// before, and at.
const changeRules = `version: 1
rules:
  company-total:
    about: company
    steps:
      - id: won
        fetch_items: {owner: deal, filter: {companyId: =event.id, stageSemanticId: S}, select: [opportunity], limit: 5000}
      - update_item:
          owner: company
          id: =event.id
          fields: {ufCrm_SUM: "=round(sum(won, .opportunity), 2)", ufCrm_COUNT: =len(won)}
  deal-changed:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE, ONCRMDEALDELETE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - start: {rule: company-total, id: =deal.companyId}
  deal-comments:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - entered: =deal.stageId == "WON"
        call:
          method: crm.timeline.comment.add
          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: "won {{ deal.title }}"}}
      - once: =deal.opportunity
        call:
          method: crm.timeline.comment.add
          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: "amount {{ before.deal.opportunity ?? -1 }} {{ deal.opportunity }}"}}
  deal-remind:
    on: [ONCRMDEALADD, ONCRMDEALUPDATE]
    steps:
      - id: deal
        fetch_item: {owner: deal, id: =event.id}
      - when: =deal.ufCrm_REMIND != nil
        at: {time: =date(deal.ufCrm_REMIND), late: 10m}
        call:
          method: crm.timeline.comment.add
          params: {fields: {ENTITY_TYPE: deal, ENTITY_ID: =event.id, COMMENT: "remind {{ deal.ufCrm_REMIND }}"}}
`

// remindLate is the "late" of the reminder in changeRules.
const remindLate = 10 * time.Minute

// TestChangeModel runs short random histories of deals that move between companies, are
// won, opened again and deleted, and whose reminders move, with an engine that is killed
// and a portal with faults. It compares the end with a reference: the totals of each
// company are right, each win is announced once, each change of the amount is written with
// the amount before it, and each reminder is sent once at its time. After a kill or a
// lost answer a comment may be there once more, because the portal cannot be asked
// whether it has it. The variables are those of TestModel.
func TestChangeModel(t *testing.T) {
	t.Parallel()
	portals := []config.Portal{{Name: demo.PortalName, Webhook: "http://portal.example/rest/1/x/", Token: modelToken}}
	source := fleet.FilesIn(fstest.MapFS{"change.yaml": {Data: []byte(changeRules)}})
	loadModel(t, source, portals, newChangeWorld).histories(t, testkit.Rounds(20, 8), newChangeScenario)
}

// The steps of these histories, next to those of the engine and the post.
const (
	opCompany = op("give a deal another company: deal")
	opAmount  = op("change the amount of deal")
	opWin     = op("win deal")
	opReopen  = op("open again deal")
	opRemind  = op("set the reminder of deal")
)

// changeWorld is a world with companies, deals and what should have been written about them.
type changeWorld struct {
	*world
	companies []int
	deals     []*changingDeal
	titles    int
	// disturbed counts what may lead to a second comment: kills and lost answers.
	disturbed int
}

// changingDeal is a deal and its past.
type changingDeal struct {
	id   int
	gone bool
	past []dealState
	// seen are the numbers of past states at which all runs had ended.
	seen []int
}

// dealState is a deal between two changes.
type dealState struct {
	title, amount, remind string
	company               int
	won                   bool
	since                 time.Time
}

func (d *changingDeal) now() dealState { return d.past[len(d.past)-1] }

func newChangeWorld(w *world) player {
	c := &changeWorld{world: w}
	w.act(c.addCompanies)
	return c
}

// addCompanies adds two companies, and the fields of the rules.
func (c *changeWorld) addCompanies(ctx context.Context) error {
	for _, f := range []struct {
		typ  int
		name string
		kind string
	}{{4, "UF_CRM_SUM", "double"}, {4, "UF_CRM_COUNT", "integer"}, {2, "UF_CRM_REMIND", "datetime"}} {
		if err := c.portal.AddUserField(f.typ, emulator.UserField{Name: f.name, Type: f.kind, Precision: 2}); err != nil {
			return err
		}
	}
	for i := range 2 {
		var id bitrix.ID
		if err := c.people.Write(ctx, "crm.company.add", map[string]any{"fields": map[string]any{"TITLE": fmt.Sprint("Company ", i)}}, &id); err != nil {
			return err
		}
		c.companies = append(c.companies, int(id))
	}
	return nil
}

// do lets a step happen.
func (c *changeWorld) do(s step) {
	switch s.op {
	case opAddDeal:
		c.addDeal(s)
	case opDeleteDeal:
		if d := c.choose(s); d != nil {
			c.rest() // a comment on a deal that is deleted just then is refused
			c.act(func(ctx context.Context) error {
				return c.people.Write(ctx, "crm.item.delete", map[string]any{"entityTypeId": dealType, "id": d.id}, nil)
			})
			d.gone = true
		}
	case opCompany:
		c.change(s, func(d *dealState) { d.company = c.companies[s.n%len(c.companies)] })
	case opAmount:
		c.change(s, func(d *dealState) { d.amount = strconv.Itoa(1 + s.n%900) })
	case opWin:
		c.change(s, func(d *dealState) { d.won = true })
	case opReopen:
		c.change(s, func(d *dealState) { d.won = false })
	case opRemind:
		c.change(s, func(d *dealState) { d.remind = remindTime(s.wait) })
	case opTouch:
		c.change(s, func(*dealState) {})
	case opFinish:
		c.finish()
		c.act(func(context.Context) error { // nothing is in the way of reading
			c.checkIdle()
			return nil
		})
	case opCrash, opCrashAtWork, opLose, opFaults, opStop:
		c.disturbed += 1 + s.n%3
		for _, f := range s.faults {
			c.disturbed += f.Count
		}
		c.world.do(s)
	default:
		c.world.do(s)
	}
}

// remindTime is a time from now on, in the form of the portal; a negative one is none.
func remindTime(in time.Duration) string {
	if in < 0 {
		return ""
	}
	return time.Now().Add(in).In(time.FixedZone("", 3*60*60)).Truncate(time.Second).Format(time.RFC3339)
}

func (c *changeWorld) choose(s step) *changingDeal {
	if len(c.deals) == 0 || c.deals[s.which%len(c.deals)].gone {
		return nil
	}
	return c.deals[s.which%len(c.deals)]
}

func (c *changeWorld) addDeal(s step) {
	d := &changingDeal{}
	st := dealState{amount: strconv.Itoa(1 + s.n%900), company: c.companies[s.n%len(c.companies)], won: s.flag, remind: remindTime(s.wait)}
	c.act(func(ctx context.Context) error { return c.save(ctx, d, st) })
	c.deals = append(c.deals, d)
}

// change changes a deal. Each change has its own title, so that a comment says which
// state of the deal it is about.
func (c *changeWorld) change(s step, what func(*dealState)) {
	d := c.choose(s)
	if d == nil {
		return
	}
	st := d.now()
	what(&st)
	c.act(func(ctx context.Context) error { return c.save(ctx, d, st) })
}

// save adds or changes a deal.
func (c *changeWorld) save(ctx context.Context, d *changingDeal, st dealState) error {
	c.titles++
	st.title = fmt.Sprint("c", c.titles)
	fields := map[string]any{"title": st.title, "opportunity": st.amount, "isManualOpportunity": "Y", "companyId": st.company, "stageId": "EXECUTING", "ufCrm_REMIND": st.remind}
	if st.won {
		fields["stageId"] = "WON"
	}
	method := "crm.item.update"
	if d.id == 0 {
		method = "crm.item.add"
	}
	var result struct{ Item struct{ ID bitrix.ID } }
	if err := c.people.Write(ctx, method, map[string]any{"entityTypeId": dealType, "id": d.id, "fields": fields}, &result); err != nil {
		return err
	}
	d.id, st.since = int(result.Item.ID), time.Now()
	d.past = append(d.past, st)
	return nil
}

// checkIdle notes what the engine must have seen, after all runs have ended: the wins
// since the last time, and the reminders that are due.
func (c *changeWorld) checkIdle() {
	if c.engine == nil {
		return
	}
	for i, d := range c.deals {
		if d.gone {
			continue
		}
		st := d.now()
		said := c.commentsOf(d)
		if st.won {
			// The last entry into the stage is announced under a title of its time.
			from := len(d.past)
			for from > 0 && d.past[from-1].won {
				from--
			}
			var titles []string
			for _, p := range d.past[from:] {
				titles = append(titles, p.title)
			}
			if (from == 0 || slices.Contains(d.seen, from)) && !slices.ContainsFunc(said.wins, func(w string) bool { return slices.Contains(titles, w) }) {
				c.complain("deal %d was won with %s, and no comment says so: %v", i, titles, said.wins)
			}
		}
		if n := len(said.amounts); n == 0 || said.amounts[n-1].now != st.amount {
			c.complain("deal %d has the amount %s, and the comments are %v", i, st.amount, said.amounts)
		}
		// A reminder that was known before its time is sent when it has come, unless the
		// engine was away for too long.
		if at, err := time.Parse(time.RFC3339, st.remind); err == nil {
			due := !at.After(time.Now()) && st.since.Before(at) && c.disturbed == 0
			if due && !slices.ContainsFunc(said.reminders, func(r reminder) bool { return r.at.Equal(at) }) {
				c.complain("deal %d has no reminder for %s: %v", i, st.remind, said.reminders)
			}
		}
		d.seen = append(d.seen, len(d.past))
	}
	c.judgeCompanies()
}

// dealComments is what the comments of a deal say.
type dealComments struct {
	wins      []string // by titles
	amounts   []amountChange
	reminders []reminder
}

type amountChange struct{ before, now string }

type reminder struct{ at, sent time.Time }

var commentText = regexp.MustCompile(`^(won|amount|remind) (\S+)(?: (\S+))?$`)

func (c *changeWorld) commentsOf(d *changingDeal) (out dealComments) {
	raw, err := c.people.Client.List(context.Background(), bitrix.Call{Method: "crm.timeline.comment.list", Params: map[string]any{
		"filter": map[string]any{"ENTITY_ID": d.id, "ENTITY_TYPE": "deal"}, "order": map[string]any{"ID": "ASC"}, "select": []string{"ID", "COMMENT", "CREATED"},
	}}, "")
	if err != nil {
		c.complain("read the comments: %v", err)
		return out
	}
	for _, r := range raw {
		var comment struct{ COMMENT, CREATED string }
		if err := json.Unmarshal(r, &comment); err != nil {
			c.complain("read a comment: %v", err)
			continue
		}
		m := commentText.FindStringSubmatch(comment.COMMENT)
		switch {
		case m == nil:
			c.complain("unknown comment %q", comment.COMMENT)
		case m[1] == "won":
			out.wins = append(out.wins, m[2])
		case m[1] == "amount":
			out.amounts = append(out.amounts, amountChange{m[2], m[3]})
		default:
			at, err1 := time.Parse(time.RFC3339, m[2])
			sent, err2 := time.Parse(time.RFC3339, comment.CREATED)
			if err1 != nil || err2 != nil {
				c.complain("times of a comment: %q, %q", m[2], comment.CREATED)
			}
			out.reminders = append(out.reminders, reminder{at, sent})
		}
	}
	return out
}

// judge compares all that was written with what has happened.
func (c *changeWorld) judge() {
	c.checkIdle()
	c.judgeComments()
	if n := c.states()["parked"]; n > 0 {
		c.complain("%d runs are parked", n)
	}
}

// judgeComments judges the comments.
func (c *changeWorld) judgeComments() {
	for i, d := range c.deals {
		if d.gone {
			continue
		}
		said := c.commentsOf(d)
		// A request that is lost may hold a comment of each kind for each deal.
		for _, repeats := range []int{c.judgeWins(i, d, said.wins), c.judgeAmounts(i, said.amounts), c.judgeReminders(i, d, said.reminders)} {
			if repeats > c.disturbed {
				c.complain("deal %d: %d comments of a kind are there once more, after %d kills and faults: %v", i, repeats, c.disturbed, said)
			}
		}
	}
}

func (c *changeWorld) states() map[string]int {
	stats, err := journal.Count(context.Background(), c.engine.service.Queue().Database())
	if err != nil {
		c.complain("stats: %v", err)
	}
	out := map[string]int{}
	for state, n := range stats.Runs {
		out[string(state)] = n
	}
	return out
}

// judgeWins counts the announcements of one entry into the stage after the first. Each
// names a state in which the deal was won.
func (c *changeWorld) judgeWins(i int, d *changingDeal, wins []string) (repeats int) {
	last := -1
	for _, title := range wins {
		at := slices.IndexFunc(d.past, func(s dealState) bool { return s.title == title })
		if at < 0 || !d.past[at].won {
			c.complain("deal %d was announced as won with %s, and was not won then", i, title)
			continue
		}
		if last >= 0 && !slices.ContainsFunc(d.past[min(last, at):at+1], func(s dealState) bool { return !s.won }) {
			repeats++
		}
		last = at
	}
	return repeats
}

// judgeAmounts counts the changes that do not continue the one before.
func (c *changeWorld) judgeAmounts(i int, amounts []amountChange) (repeats int) {
	before := "-1"
	for _, a := range amounts {
		switch {
		case a.before == before && a.now != before:
		case c.disturbed == 0:
			c.complain("deal %d: after the amount %s came a change from %s to %s", i, before, a.before, a.now)
		default:
			repeats++
		}
		before = a.now
	}
	return repeats
}

// judgeReminders counts the reminders of one time after the first. None comes before its
// time, and none for a time that the deal never had.
func (c *changeWorld) judgeReminders(i int, d *changingDeal, reminders []reminder) (repeats int) {
	had := map[string]int{}
	before := ""
	for _, s := range d.past {
		if s.remind != "" && s.remind != before {
			had[s.remind]++
		}
		before = s.remind
	}
	sent := map[string]int{}
	for _, r := range reminders {
		text := r.at.In(time.FixedZone("", 3*60*60)).Format(time.RFC3339)
		if sent[text]++; sent[text] > had[text] {
			if had[text] == 0 {
				c.complain("deal %d has a reminder for %s, which it never had", i, text)
			}
			repeats++
		}
		if r.sent.Before(r.at) || r.sent.After(r.at.Add(remindLate+time.Minute)) {
			c.complain("deal %d: the reminder for %s was sent at %s", i, text, r.sent)
		}
	}
	return repeats
}

func (c *changeWorld) judgeCompanies() {
	for i, id := range c.companies {
		sum, count := 0, 0
		for _, d := range c.deals {
			if !d.gone && d.now().won && d.now().company == id {
				n, _ := strconv.Atoi(d.now().amount)
				sum, count = sum+n, count+1
			}
		}
		var got struct {
			Item struct {
				Sum   json.RawMessage `json:"ufCrm_SUM"`
				Count json.RawMessage `json:"ufCrm_COUNT"`
			}
		}
		if err := c.people.Client.Call(context.Background(), "crm.item.get", map[string]any{"entityTypeId": 4, "id": id}, &got); err != nil {
			c.complain("read company %d: %v", i, err)
			continue
		}
		text := func(raw json.RawMessage) string {
			return number(strings.Trim(strings.TrimSuffix(string(raw), "null"), `"`))
		}
		if text(got.Item.Sum) != strconv.Itoa(sum) || text(got.Item.Count) != strconv.Itoa(count) {
			c.complain("company %d has %s in %s won deals and should have %d in %d", i, got.Item.Sum, got.Item.Count, sum, count)
		}
	}
}

// newChangeScenario makes the history of a seed.
func newChangeScenario(seed uint64) scenario {
	g := generator{rand.New(rand.NewPCG(seed, 6))}
	h := scenario{seed: seed, world: worldKind{
		plan: emulator.PlanUnlimited, many: true, latency: pick(g.rnd, 0, 3*time.Millisecond, 40*time.Millisecond), grace: pick(g.rnd, time.Millisecond, 10*time.Second),
	}}
	calm := g.one(3) // nothing goes wrong: each comment is there exactly once
	h.steps = append(h.steps, g.changeDeal(), g.changeDeal())
	for range 6 + g.rnd.IntN(24) {
		h.steps = append(h.steps, g.changeSteps(calm)...)
	}
	return h
}

func (g generator) changeDeal() step {
	return step{op: opAddDeal, n: g.rnd.IntN(1000), flag: g.one(3), wait: g.remindIn()}
}

// remindIn is how far away a reminder is.
func (g generator) remindIn() time.Duration {
	return pick(g.rnd, -1, 0, 2*time.Second, 20*time.Second, 90*time.Second, 4*time.Minute)
}

// changeSteps are what happens next: mostly one thing.
func (g generator) changeSteps(calm bool) []step {
	s := step{which: g.rnd.IntN(1000), n: g.rnd.IntN(1000)}
	switch g.rnd.IntN(30) {
	case 0:
		return []step{g.changeDeal()}
	case 1, 2, 3:
		s.op = opWin
	case 4, 5:
		s.op = opReopen
	case 6, 7, 8:
		s.op = opCompany
	case 9, 10:
		s.op = opAmount
	case 11, 12, 13:
		s.op, s.wait = opRemind, g.remindIn()
	case 14:
		s.op = pick(g.rnd, opDeleteDeal, opTouch, opTouch)
	case 15, 16, 17, 18:
		s.op = opDeliverAll
	case 19:
		s.op = pick(g.rnd, opDeliver, opAgain)
	case 20, 21:
		s.op, s.wait = opSleep, pick(g.rnd, 30*time.Millisecond, 1010*time.Millisecond, 3*time.Second, 25*time.Second, 100*time.Second, 5*time.Minute)
	case 22, 23:
		s.op = opFinish
	case 24:
		s.op, s.faults = opFaults, g.faults()
	case 25:
		s.op = opHeal
	case 26:
		s.op, s.flag = opCrash, g.one(2)
	case 27:
		s.op, s.flag, s.wait = opCrashAtWork, g.one(2), pick(g.rnd, 0, 2*time.Second)
	case 28:
		s.op, s.wait = opLose, pick(g.rnd, 0, 2*time.Second)
	case 29:
		s.op = opStop
	}
	disturbs := s.op == opFaults || s.op == opCrash || s.op == opCrashAtWork || s.op == opLose
	switch {
	case disturbs && calm:
		return []step{{op: opDeliverAll}}
	case s.op == opStop || s.op == opCrash || s.op == opCrashAtWork:
		return []step{s, {op: opSleep, wait: pick(g.rnd, 0, time.Millisecond, time.Minute)}, {op: opStart}}
	}
	return []step{s}
}
