// Package describe says what rules and actions do: schema, manual, explain, cost. It is for
// b24rules itself and may change.
package describe
