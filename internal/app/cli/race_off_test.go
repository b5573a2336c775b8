//go:build !race

package cli

// rounds returns how often a test that repeats itself does so by default.
func rounds(normal, _ int) int { return normal }
