package bitrix

import "fmt"

// Plan is the tariff of a portal as far as it sets the request rate.
type Plan string

// The plans. Source: https://apidocs.bitrix24.com/limits.html
const (
	PlanStandard   Plan = "standard"   // 2 requests a second, bursts of 50
	PlanEnterprise Plan = "enterprise" // 5 requests a second, bursts of 250
	PlanUnlimited  Plan = "unlimited"  // self-hosted portals set no rate
)

// ParsePlan reads a plan's name. Empty is PlanStandard.
func ParsePlan(s string) (Plan, error) {
	switch p := Plan(s); p {
	case "":
		return PlanStandard, nil
	case PlanStandard, PlanEnterprise, PlanUnlimited:
		return p, nil
	}
	return "", fmt.Errorf("unknown plan %q, want standard, enterprise or unlimited", s)
}

// rate returns the size of the bucket and how much of it drains a second; a
// rate of 0 means no limit.
func (p Plan) rate() (capacity, perSecond float64) {
	switch p {
	case PlanEnterprise:
		return 250, 5
	case PlanUnlimited:
		return 0, 0
	}
	return 50, 2
}
