package console

// Routes are all addresses that need a user, each with its method.
func Routes() []string {
	var out []string
	for _, r := range (&Console{}).routes() {
		method := "GET"
		if r.change || r.path == "/logout" {
			method = "POST"
		}
		out = append(out, method+" "+r.path)
	}
	return out
}

// SetChanged makes pages that have received a change read themselves again, once for each mark.
func (c *Console) SetChanged(mark string) { c.live.last.Store(mark) }
