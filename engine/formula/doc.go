// Package formula compiles and evaluates formulas: values that start with "=", and
// "{{ }}" in texts.
//
// The syntax is that of expr-lang. Types are known before a formula runs, decimals are
// exact, and limits stop hostile formulas.
//
// Compile lets expr parse, then walks the tree once: it infers the type of every node
// by its own rules, collects all problems with their places, and lowers the tree to
// calls of exact functions. Then expr compiles the tree for its virtual machine.
// Compile does not use the checker of expr, because that stops at the first error,
// loses the element types of many functions, and has no type for nil.
//
// The values of a formula are nil, bool, num.Num, string, time.Time, []any,
// map[string]any and Omitted, and nothing else.
package formula
