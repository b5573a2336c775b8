package config

import (
	"errors"
	"io/fs"
	"net"
)

// Plain removes the operation from a system error, and the address from one of the
// network, because the caller's message names them.
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
