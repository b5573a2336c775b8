package bitrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// User is the user whose credentials a client has.
type User struct {
	ID    int
	Name  string // first and last name
	Admin bool   // an administrator sees all
}

// String names the user for people.
func (u User) String() string {
	return strings.TrimSuffix(fmt.Sprintf("user %d, %s", u.ID, u.Name), ", ")
}

// Profile asks the portal whose credentials the client has.
// Source: https://apidocs.bitrix24.com/api-reference/common/users/profile.html
func (c *Client) Profile(ctx context.Context) (User, error) {
	a := c.Do(ctx, Call{Method: "profile"})[0]
	if a.Err != nil {
		return User{}, a.Err
	}
	return readProfile(a.Result)
}

func readProfile(result json.RawMessage) (User, error) {
	var p struct {
		ID       ID
		Admin    json.RawMessage `json:"ADMIN"`
		Name     string          `json:"NAME"`
		LastName string          `json:"LAST_NAME"`
	}
	if err := json.Unmarshal(result, &p); err != nil {
		return User{}, fmt.Errorf("profile: %w", err)
	}
	u := User{ID: int(p.ID), Name: strings.TrimSpace(p.Name + " " + p.LastName)}
	if u.ID <= 0 {
		return u, errors.New("profile: the answer has no id of a user")
	}
	switch text := strings.Trim(string(p.Admin), `"`); text {
	case "true", "1", "Y":
		u.Admin = true
	case "false", "0", "N":
	default:
		return u, fmt.Errorf("profile: ADMIN is %q, and not true or false", text)
	}
	return u, nil
}
