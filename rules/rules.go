// Package rules holds the rule sets that ship with b24rules.
package rules

import "embed"

// FS holds the shipped rule files at its root, without their tests.
//
//go:embed deal-shipments.yaml invoice-total.yaml
var FS embed.FS
