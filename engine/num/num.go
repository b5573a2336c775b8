// Package num holds exact decimal numbers: prices, quantities and sums that
// must not drift as floats do. A number is either exact or an error: no
// operation but division (and what says so by its name) rounds.
package num

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/shopspring/decimal"
)

const (
	// maxDigits bounds the digits before the point, the digits after it, and
	// the significant digits in all. A loop that multiplies would else grow a
	// number without end.
	maxDigits = 60
	// maxExponent bounds an exponent as written: 1e9999 is ten thousand digits.
	maxExponent = 30
	// divisionPlaces is how many digits after the point a quotient keeps.
	divisionPlaces = 20
	// cheapBits is the length of a coefficient that certainly has at most
	// maxDigits digits: 2^199 < 10^60.
	cheapBits = 199
)

var (
	// ErrDivisionByZero is the error of a division, or of a remainder, by zero.
	ErrDivisionByZero = errors.New("division by zero")
	// ErrTooLong is the error of a result that would need more than 60 digits.
	ErrTooLong = fmt.Errorf("the result has more than %d digits: round before going on", maxDigits)
)

// Num is an exact decimal number. The zero value is 0. A Num never changes and
// may be used by many goroutines at once. Compare with Equal or Cmp, not with
// ==: 1.0 and 1.00 are equal but may be held differently.
type Num struct {
	// Nearly all numbers of a portal are small × 10^-scale with a scale of at
	// most maxSmallScale: two machine words instead of a big.Int. wide, if it is
	// set, holds any other number instead, and never changes.
	small int64
	scale uint8
	wide  *decimal.Decimal
}

// maxSmallScale is the greatest power of ten that fits an int64.
const maxSmallScale = 18

// FromInt returns the number i.
func FromInt(i int64) Num { return Num{small: i} }

// MustParse is Parse for constants of a program: it panics where Parse fails.
func MustParse(text string) Num {
	n, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

// decimal returns n as shopspring's decimal, which does the less common work.
func (n Num) decimal() decimal.Decimal {
	if n.wide != nil {
		return *n.wide
	}
	return decimal.New(n.small, -int32(n.scale))
}

// fromDecimal returns d, held in the cheapest way.
func fromDecimal(d decimal.Decimal) Num {
	if exp := d.Exponent(); exp <= 0 && exp >= -maxSmallScale {
		if c := d.Coefficient(); c.IsInt64() {
			return Num{small: c.Int64(), scale: uint8(-exp)}
		}
	}
	return Num{wide: &d}
}

// Add returns n + m, or ErrTooLong.
func (n Num) Add(m Num) (Num, error) {
	if a, b, scale, ok := align(n, m); ok {
		if sum := a + b; (sum > a) == (b > 0) {
			return Num{small: sum, scale: scale}, nil
		}
	}
	return checked(n.decimal().Add(m.decimal()))
}

// Sub returns n - m, or ErrTooLong.
func (n Num) Sub(m Num) (Num, error) {
	if a, b, scale, ok := align(n, m); ok {
		if difference := a - b; (difference < a) == (b > 0) {
			return Num{small: difference, scale: scale}, nil
		}
	}
	return checked(n.decimal().Sub(m.decimal()))
}

// Mul returns n × m, or ErrTooLong.
func (n Num) Mul(m Num) (Num, error) {
	if n.wide == nil && m.wide == nil && n.scale+m.scale <= maxSmallScale {
		if product, ok := multiply(n.small, m.small); ok {
			return Num{small: product, scale: n.scale + m.scale}, nil
		}
	}
	return checked(n.decimal().Mul(m.decimal()))
}

// Div returns n / m with 20 digits after the point, the last one rounded half
// away from zero. It fails with ErrDivisionByZero or ErrTooLong.
func (n Num) Div(m Num) (Num, error) {
	if m.Sign() == 0 {
		return Num{}, ErrDivisionByZero
	}
	return checked(normal(n.decimal().DivRound(m.decimal(), divisionPlaces)))
}

// Mod returns the remainder of n / m, which has the sign of n as in PHP and
// Go. It fails with ErrDivisionByZero or ErrTooLong.
func (n Num) Mod(m Num) (Num, error) {
	if m.Sign() == 0 {
		return Num{}, ErrDivisionByZero
	}
	return checked(n.decimal().Mod(m.decimal()))
}

// maxPower bounds the exponents that are tried at all: 2^1000 is too long.
const maxPower = 1000

// Pow returns n to the power of exponent, which must be a whole number. A
// negative exponent divides, so the result keeps 20 digits after the point.
func (n Num) Pow(exponent Num) (Num, error) {
	e, ok := exponent.Int64()
	if !ok {
		return Num{}, fmt.Errorf("the exponent %s is not a whole number", exponent)
	}
	if e > maxPower || e < -maxPower {
		return Num{}, ErrTooLong
	}
	result, square, err := FromInt(1), n, error(nil)
	for left := max(e, -e); left > 0; left >>= 1 {
		if left&1 == 1 {
			if result, err = result.Mul(square); err != nil {
				return Num{}, err
			}
		}
		if left > 1 {
			if square, err = square.Mul(square); err != nil {
				return Num{}, err
			}
		}
	}
	if e < 0 {
		return FromInt(1).Div(result)
	}
	return result, nil
}

// Neg returns -n.
func (n Num) Neg() Num {
	if n.wide == nil && n.small != math.MinInt64 {
		return Num{small: -n.small, scale: n.scale}
	}
	return fromDecimal(n.decimal().Neg())
}

// Abs returns n without its sign.
func (n Num) Abs() Num {
	if n.Sign() < 0 {
		return n.Neg()
	}
	return n
}

// Floor returns the greatest whole number that is not above n.
func (n Num) Floor() Num { return fromDecimal(n.decimal().Floor()) }

// Ceil returns the smallest whole number that is not below n.
func (n Num) Ceil() Num { return fromDecimal(n.decimal().Ceil()) }

// Trunc returns n without the digits after the point.
func (n Num) Trunc() Num { return fromDecimal(n.decimal().Truncate(0)) }

// Round returns n with at most the given number of digits after the point,
// rounded half away from zero as PHP and Bitrix24 do. Negative places round
// before the point: 1250 rounded to -2 places is 1300.
func (n Num) Round(places int) Num {
	places = max(min(places, maxDigits), -maxDigits-1)
	return fromDecimal(n.decimal().Round(int32(places)))
}

// Cmp returns -1, 0 or +1 as n is less than, equal to or greater than m.
func (n Num) Cmp(m Num) int {
	if a, b, _, ok := align(n, m); ok {
		return cmp.Compare(a, b)
	}
	return n.decimal().Cmp(m.decimal())
}

// Equal reports whether n and m are the same number: 1.0 equals 1.00.
func (n Num) Equal(m Num) bool { return n.Cmp(m) == 0 }

// Sign returns -1, 0 or +1.
func (n Num) Sign() int {
	if n.wide == nil {
		return cmp.Compare(n.small, 0)
	}
	return n.wide.Sign()
}

// IsInt reports whether n is a whole number: 2.00 is.
func (n Num) IsInt() bool {
	if n.wide == nil {
		return n.small%powers[n.scale] == 0
	}
	return n.wide.IsInteger()
}

// Int64 returns n as an int64, and whether n is a whole number that fits.
func (n Num) Int64() (int64, bool) {
	if n.wide == nil {
		return n.small / powers[n.scale], n.IsInt()
	}
	if !n.wide.IsInteger() {
		return 0, false
	}
	whole := n.wide.BigInt()
	return whole.Int64(), whole.IsInt64()
}

// Float64 returns the float nearest to n, for what can only draw or measure.
func (n Num) Float64() float64 { return n.decimal().InexactFloat64() }

// Scale returns how many digits after the point n needs: 1.50 needs one.
func (n Num) Scale() int {
	return max(0, -int(normal(n.decimal()).Exponent()))
}

// String returns n as a person would write it: no exponent, no trailing zeros
// after the point, and never -0. Equal numbers have equal strings.
func (n Num) String() string {
	if n.wide == nil && n.scale == 0 {
		return strconv.FormatInt(n.small, 10)
	}
	return n.decimal().String()
}

// MarshalJSON writes n as a JSON number.
func (n Num) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// MarshalText writes n as String does.
func (n Num) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what Parse reads.
func (n *Num) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err == nil {
		*n = v
	}
	return err
}

// UnmarshalJSON reads a JSON number, or a string that holds one: portals send
// 10.5, "10.50" and "10" for the same field. null leaves n as it is.
func (n *Num) UnmarshalJSON(data []byte) error {
	text := string(data)
	if text == "null" {
		return nil
	}
	if len(text) >= 2 && text[0] == '"' {
		unquoted, err := strconv.Unquote(text)
		if err != nil {
			return fmt.Errorf("want a number, not %.40s", text)
		}
		text = unquoted
	}
	return n.UnmarshalText([]byte(text))
}

// checked lets a result pass if it is within the limits, without looking at
// every digit of the common, short one.
func checked(d decimal.Decimal) (Num, error) {
	exp := d.Exponent()
	if exp <= 0 && exp >= -maxDigits && bitLen(d) <= cheapBits {
		return fromDecimal(d), nil
	}
	d = normal(d)
	digits, exp := d.NumDigits(), d.Exponent()
	if digits > maxDigits || exp < -maxDigits || digits+int(exp) > maxDigits {
		return Num{}, ErrTooLong
	}
	return fromDecimal(d), nil
}

func bitLen(d decimal.Decimal) int { return d.Coefficient().BitLen() }

// normal returns d without trailing zeros in its coefficient.
func normal(d decimal.Decimal) decimal.Decimal {
	if d.IsZero() {
		return decimal.Decimal{}
	}
	coefficient, exp := d.Coefficient(), d.Exponent()
	ten, rest, quotient := big.NewInt(10), new(big.Int), new(big.Int)
	for {
		quotient.QuoRem(coefficient, ten, rest)
		if rest.Sign() != 0 {
			return decimal.NewFromBigInt(coefficient, exp)
		}
		coefficient, quotient = quotient, coefficient
		exp++
	}
}
