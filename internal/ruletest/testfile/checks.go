package testfile

// BuiltinCheck is a check that every test runs in addition to its own expectations.
type BuiltinCheck struct {
	Name string
	// Doc describes the check in the editor schema.
	Doc string
}

// BuiltinChecks are the checks in the order in which they run and are reported.
var BuiltinChecks = [...]BuiltinCheck{
	{"second_run", "a second run after each event writes nothing"},
	{"doubled", "an event that arrives twice leads to the same state"},
	{"shuffled", "product rows in another order lead to the same state"},
	{"resaved", "product rows that are saved again, with new ids and in another order, change nothing"},
	{"crash", "a crash after any single write and a retry lead to the same state"},
	{"after_delete", "an update that arrives after the deletion changes nothing"},
	{"unmanaged", "fields that the rule does not manage keep their values"},
	{"duplicates", "no two records with the same key ever existed"},
}

// CheckNames returns the names that skip_proofs accepts, in the order of the checks.
func CheckNames() []string {
	out := make([]string, len(BuiltinChecks))
	for i, p := range BuiltinChecks {
		out[i] = p.Name
	}
	return out
}
