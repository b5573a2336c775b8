package value_test

import (
	"encoding/json"
	"testing"

	"github.com/b24rules/b24rules/emulator/internal/value"
)

func TestPHPFloat(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 5: "5", -5.5: "-5.5", 0.1: "0.1", 0.0001: "0.0001", 0.00001: "1.0E-5", 1234567890123.45: "1234567890123.4",
		123456789012345678: "1.2345678901235E+17", 99999999999999: "99999999999999", 100000000000000: "1.0E+14", 1500000000000000: "1.5E+15",
		0.000012: "1.2E-5",
	} {
		if got := value.PHPFloat(n); got != want {
			t.Errorf("%v is %s, want %s", n, got, want)
		}
	}
}

func TestLongFloats(t *testing.T) {
	for text, want := range map[string]string{"1.005": "1.0049999999999999", "10": "10", "0.5": "0.5", "12345678901234567890": "12345678901234567890"} {
		if got := value.LongFloats(json.Number(text)); got != json.Number(want) {
			t.Errorf("%s is %v, want %s", text, got, want)
		}
	}
}
