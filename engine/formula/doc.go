// Package formula is the language of the values that begin with "=" and of the
// holes "{{ }}" in texts: expr-lang's syntax with types that are known before
// anything runs, with exact decimals, and with limits that hostile input
// cannot pass.
//
// Compile lets expr parse, then walks the tree once: it infers the type of
// every node by rules of its own, collects all problems with their places, and
// lowers the tree to calls of exact functions. Only then does expr compile the
// tree for its machine. The checker of expr is not used: it stops at the first
// error, loses the element types of many functions, and knows no nil.
//
// The values of a formula are nil, bool, num.Num, string, time.Time, []any,
// map[string]any and Omitted, and nothing else.
package formula
