// Package rules holds the rule sets that ship with b24rules.
package rules

import "embed"

// FS holds the shipped rule files at its root.
//
//go:embed *.yaml
var FS embed.FS
