package wakeup_test

import (
	"testing"

	"github.com/b24rules/b24rules/internal/wakeup"
)

func TestSendsBeforeAReceiveCountAsOne(t *testing.T) {
	s := wakeup.New()
	for range 3 {
		s.Send()
	}
	<-s
	select {
	case <-s:
		t.Error("a second wake-up is pending")
	default:
	}
	s.Send()
	<-s
}
