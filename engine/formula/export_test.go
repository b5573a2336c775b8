package formula

// Conforms lets tests ask whether a value is of a type.
func Conforms(v any, t Type) bool { return conforms(v, t, 0) }
