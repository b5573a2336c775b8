package cli

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
)

// person names the user of the command line and the machine, such as anna@web1. For a
// command under sudo it is the user who called sudo.
func person() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = cmp.Or(u.Username, "user "+u.Uid)
		} else {
			name = fmt.Sprintf("user %d", os.Getuid())
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
