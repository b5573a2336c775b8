package rest

import (
	"slices"
	"time"
)

// Options are the settings of a portal that its methods ask for. The fields are
// those of [Config].
type Options struct {
	SingleOwner, StrictElementCode, MoveAlsoUpdates, CommentFields bool
	NoOfflineExtended, NoAuthConnector                             bool
	DoubleCodes, KeepOmitted                                       bool
	UnchangedUpdates, SilentRows                                   bool
	CodeRace                                                       time.Duration
	Currency                                                       string
	Scopes                                                         []string
}

// Allows reports whether a permission is one of the portal's; "" needs none.
func (o *Options) Allows(scope string) bool { return scope == "" || slices.Contains(o.Scopes, scope) }

// Features of plans that the methods ask for.
const (
	FeatureOfflineExtended = "rest_offline_extended"
	FeatureAuthConnector   = "rest_auth_connector"
)

// Feature reports whether the portal's plan has a feature.
func (o *Options) Feature(code string) bool {
	return code == FeatureOfflineExtended && !o.NoOfflineExtended || code == FeatureAuthConnector && !o.NoAuthConnector
}
