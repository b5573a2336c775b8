package testfile

// proof is something that holds for every rule, whatever its test expects.
type BuiltinCheck struct {
	Name string
	// doc says what is proven, for the manual and the reports.
	doc string
}

// proofs in the order in which they are run and told.
var BuiltinChecks = [...]BuiltinCheck{
	{"second_run", "a second run after each event writes nothing"},
	{"doubled", "an event that comes twice ends in the same state"},
	{"shuffled", "product rows in another order end in the same state"},
	{"resaved", "product rows saved anew, with new ids and in another order, change nothing"},
	{"crash", "a crash after any single write and a retry end in the same state"},
	{"after_delete", "an update that comes after the deletion changes nothing"},
	{"unmanaged", "fields that the rule does not manage stay as they were"},
	{"duplicates", "no two things with one key ever existed"},
}

// ProofNames are the names that skip_proofs takes, in the order of the proofs.
func CheckNames() []string {
	out := make([]string, len(BuiltinChecks))
	for i, p := range BuiltinChecks {
		out[i] = p.Name
	}
	return out
}
