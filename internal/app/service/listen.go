package service

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"syscall"

	"github.com/b24rules/b24rules/internal/app/config"
)

// Listen listens on a TCP address. Its errors name the address.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another program uses this address", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %v", addr, config.Plain(err))
	}
	return ln, nil
}

const (
	// reservedFiles are the files that the process needs for its databases, rules, log
	// and metrics, and filesPerPortal the connections to one portal.
	reservedFiles  = 88
	filesPerPortal = 12
)

// maxConnections returns how many connections to the event handler may be open: the
// desired number, unless the process may open too few files (0: unknown). If
// strangers held all files, it could open neither its database nor a connection to
// the portal. A quarter of the files is always for the handler.
func maxConnections(desired, portals int, files uint64) int {
	if files == 0 || files > math.MaxInt32 {
		return desired
	}
	limit := int(files)
	return min(desired, max(limit-reservedFiles-filesPerPortal*portals, limit/4))
}
