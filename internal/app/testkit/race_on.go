//go:build race

package testkit

// Rounds returns how often a test that repeats itself does so by default: less
// under the race detector, where all takes several times as long.
func Rounds(_, underRace int) int { return underRace }
