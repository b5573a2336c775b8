// Package formulas compares formulas with those of other engines. It is a separate
// module, so b24rules does not depend on these engines.
package formulas
