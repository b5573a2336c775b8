package emulator

import "fmt"

// NextItemID makes the next item of a type get an id, so that a test can call
// its items by the ids it likes. Ids only grow.
func (p *Portal) NextItemID(entityTypeID int, id int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.nextID(itemCounter(entityTypeID), id)
}

// NextElementID makes the next element of any list get an id. Ids only grow.
func (p *Portal) NextElementID(id int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store.nextID("element", id)
}

func (s *store) nextID(counter string, id int64) error {
	if last := s.counters[counter]; id <= last {
		return fmt.Errorf("the id %d is behind %d, which was given already", id, last)
	}
	s.raise(counter, id-1)
	return nil
}
