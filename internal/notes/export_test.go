package notes

var (
	Claim    = claim
	EndClaim = endClaim
)
