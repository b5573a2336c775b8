package emulator

import "slices"

// options are the settings of a portal that its methods ask for. The fields are
// those of [Config].
type options struct {
	manyOwners, strictElementCode, moveAlsoUpdates, commentFields bool
	noOfflineExtended, noAuthConnector                            bool
	currency                                                      string
	scopes                                                        []string
}

// allows tells whether a permission is one of the portal's; "" needs none.
func (o *options) allows(scope string) bool { return scope == "" || slices.Contains(o.scopes, scope) }

// Features of plans that the methods ask for.
const (
	featureOfflineExtended = "rest_offline_extended"
	featureAuthConnector   = "rest_auth_connector"
)

// feature tells whether the portal's plan has a feature.
func (o *options) feature(code string) bool {
	return code == featureOfflineExtended && !o.noOfflineExtended || code == featureAuthConnector && !o.noAuthConnector
}
