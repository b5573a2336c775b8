package yamlfile

import (
	"gopkg.in/yaml.v3"

	"b24rules/diag"
)

// NodeUnmarshaler is implemented by types that decode themselves from a node.
type NodeUnmarshaler interface {
	UnmarshalNode(f *File, n *yaml.Node) diag.List
}

// Decode reads a node into the value that into points to.
func Decode(f *File, n *yaml.Node, into any) diag.List {
	return nil
}
