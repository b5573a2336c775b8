// Package compare compares values by meaning, as rule tests do, and prints their
// differences.
package compare
