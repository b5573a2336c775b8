package model

import (
	"strconv"
)

// User is a user of the portal.
type User struct {
	ID             int64 // 0 takes the next
	Name, LastName string
	Email          string
	NotAdmin       bool
	Dismissed      bool // the user exists, but does not work here any more
	// OwnItems limits the user to the CRM items that the user is responsible for: the right
	// "own". Lists omit others without a word, and cannot be read or written.
	OwnItems bool
}

func (u *User) IDText() string { return strconv.FormatInt(u.ID, 10) }
