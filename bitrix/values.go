package bitrix

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/b24rules/b24rules/bitrix/internal/wire"
)

// ID is an id that a portal writes as a number here and as text there. No
// link (null, "", false) is 0.
type ID int64

// UnmarshalJSON takes 5, "5", null, "" and false.
func (i *ID) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	switch text {
	case "", "null", "false":
		*i = 0
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%.40q is no id", text)
	}
	*i = ID(n)
	return nil
}

// YesNo is a flag that a portal writes as "Y" or "N", in places as 1 or true.
type YesNo bool

// UnmarshalJSON takes "Y", "1", 1 and true for yes, "N", "0", 0, false, null and ""
// for no. Everything else is an error.
func (y *YesNo) UnmarshalJSON(data []byte) error {
	yes, err := wire.Flag(data)
	*y = YesNo(yes)
	return err
}

// MarshalJSON writes "Y" or "N".
func (y YesNo) MarshalJSON() ([]byte, error) {
	if y {
		return []byte(`"Y"`), nil
	}
	return []byte(`"N"`), nil
}
