package wire_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

func TestShortNumbers(t *testing.T) {
	tests := map[string]string{
		`1.0049999999999999`:                         `1.005`,
		`-0.10000000000000001`:                       `-0.1`,
		`{"price":33.329999999999998,"a":[1,2]}`:     `{"price":33.33,"a":[1,2]}`,
		`[0.10000000000000001, 1234.5599999999999 ]`: `[0.1, 1234.56 ]`,
		`9.9999999999999995e-08`:                     `1e-07`,
		`1.1000000000000001E+25`:                     `1.1e+25`,
		// These are exact.
		`1.005`:                `1.005`,
		`123456789012.345`:     `123456789012.345`,
		`0.00000000000000001`:  `0.00000000000000001`,
		`9007199254740993`:     `9007199254740993`,
		`12345678901234567890`: `12345678901234567890`,
		`"1.0049999999999999"`: `"1.0049999999999999"`,
		`{"1.0049999999999999":"\"1.0049999999999999"}`: `{"1.0049999999999999":"\"1.0049999999999999"}`,
		`["\\",1.0049999999999999]`:                     `["\\",1.005]`,
		``:                                              ``,
		`"`:                                             `"`,
		`"\`:                                            `"\`,
	}
	for in, want := range tests {
		if got := string(wire.ShortNumbers([]byte(in))); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

// FuzzShortNumbers never changes what a JSON text means to a reader of doubles.
func FuzzShortNumbers(f *testing.F) {
	f.Add(`{"price":33.329999999999998,"a":["1.0049999999999999",-1.5e300]}`, 0.1)
	f.Fuzz(func(t *testing.T, text string, double float64) {
		data := append([]byte(text), strconv.FormatFloat(double, 'g', 17, 64)...)
		for _, in := range [][]byte{[]byte(text), data} {
			out := wire.ShortNumbers(bytes.Clone(in)) // must not panic, whatever it is
			var a, b any
			if json.Unmarshal(in, &a) != nil {
				continue
			}
			if err := json.Unmarshal(out, &b); err != nil {
				t.Fatal(err)
			}
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			if !bytes.Equal(x, y) {
				t.Errorf("%s means %s, %s means %s", in, x, out, y)
			}
		}
	})
}
