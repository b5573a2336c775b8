package num_test

import (
	"fmt"

	"github.com/b24rules/b24rules/engine/num"
)

func Example() {
	a, b := num.MustParse("0.1"), num.MustParse("0.2")
	sum, err := a.Add(b)
	fmt.Println(sum, sum.Equal(num.MustParse("0.30")), err)

	third, err := num.FromInt(100).Div(num.FromInt(3))
	fmt.Println(third.Round(2), err)

	_, err = a.Div(num.Num{})
	fmt.Println(err)
	// Output:
	// 0.3 true <nil>
	// 33.33 <nil>
	// division by zero
}
