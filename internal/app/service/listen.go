package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// Listen listens on a TCP address. Its errors name the address.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another program does already", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %v", addr, Plain(err))
	}
	return ln, nil
}

// Plain removes the operation and the path from a system error where the
// sentence around it says them.
func Plain(err error) error {
	var path *fs.PathError
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &path):
		return errors.New(path.Path + ": " + path.Err.Error())
	}
	return err
}
