// Package formulas measures formulas beside those of other engines. It is a
// module of its own, so that nobody who uses b24rules gets their dependencies.
package formulas
