// Package rules holds the rule sets that ship with b24rules.
package rules

import "embed"

// FS holds the shipped rule files at its root, without their tests.
//
//go:embed deal-shipments.yaml invoice-total.yaml
var FS embed.FS

// Tests holds the tests of the shipped rule files.
//
//go:embed deal-shipments_test.yaml invoice-total_test.yaml
var Tests embed.FS
