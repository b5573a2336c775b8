package rest

import (
	"maps"
	"slices"
)

// refusal is an error that a portal refuses with.
type refusal struct {
	status int
	text   string
	whole  bool // it is about the request, not about one command
}

// refusals are the errors of the REST API as a whole. The documentation has 403 for
// INVALID_CREDENTIALS and insufficient_scope; live tests of official SDKs see 401.
// https://apidocs.bitrix24.com/error-codes.html
var refusals = map[string]refusal{
	"QUERY_LIMIT_EXCEEDED":       {503, "Too many requests", true},
	"OVERLOAD_LIMIT":             {503, "REST API is blocked due to overload.", true},
	"OPERATION_TIME_LIMIT":       {429, "Method is blocked due to operation time limit.", false},
	"INTERNAL_SERVER_ERROR":      {500, "Internal server error", false},
	"ERROR_UNEXPECTED_ANSWER":    {500, "Server returned an unexpected response.", false},
	"ERROR_CORE":                 {400, "Internal error", false},
	"ERROR_ARGUMENT":             {400, "Argument is null or empty", false},
	"NOT_FOUND":                  {400, "Element not found", false},
	"ACCESS_DENIED":              {403, "Access denied!", false},
	"ERROR_METHOD_NOT_FOUND":     {404, "Method not found!", false},
	"insufficient_scope":         {401, "The request requires higher privileges than provided by the access token", false},
	"expired_token":              {401, "The access token provided has expired.", true},
	"invalid_token":              {401, "Unable to get application by token", true},
	"NO_AUTH_FOUND":              {401, "Wrong authorization data", true},
	"INVALID_CREDENTIALS":        {401, "Invalid request credentials", true},
	"APPLICATION_NOT_FOUND":      {401, "Application not found", true},
	"ERROR_OAUTH":                {401, "Application not installed", true},
	"authorization_error":        {401, "Unable to authorize user", true},
	"PAYMENT_REQUIRED":           {401, "Subscription has been ended", true},
	"METHOD_CONFIRM_WAITING":     {401, "Waiting for confirmation", true},
	"METHOD_CONFIRM_DENIED":      {403, "Method call denied", true},
	"user_access_error":          {403, "The user does not have access to the application.", true},
	"allowed_only_intranet_user": {403, "This action is available only for intranet users", true},
	"PORTAL_DELETED":             {500, "Portal was deleted", true},
	"INVALID_REQUEST":            {400, "Https required", true},
	"WRONG_AUTH_TYPE":            {403, "Current authorization type is denied for this method Application context required", false},

	"ERROR_BATCH_LENGTH_EXCEEDED":     {400, "Max batch length exceeded", false},
	"ERROR_BATCH_METHOD_NOT_ALLOWED":  {405, "Method is not allowed for batch usage", false},
	"ERROR_MANIFEST_IS_NOT_AVAILABLE": {404, "Manifest is not available", false},

	// Of the token endpoint; the live tests of the official Python SDK see these
	// statuses.
	// https://apidocs.bitrix24.com/settings/oauth/error-codes.html
	"invalid_request": {400, "Invalid request", true},
	"invalid_client":  {400, "Invalid client data was provided", true},
	"invalid_grant":   {400, "Invalid authorization data was provided", true},
	"invalid_scope":   {403, "Access permissions requested exceed those specified in the application card", true},
}

// Refusal is one of the errors above.
func Refusal(code string) *Error {
	r := refusals[code]
	return FailStatus(r.status, code, r.text)
}

// IsRefusal reports whether a code is one of the errors above, and whether that error
// is about whole requests.
func IsRefusal(code string) (known, whole bool) {
	r, known := refusals[code]
	return known, r.whole
}

// RefusalCodes returns the codes of the errors above in their order.
func RefusalCodes() []string { return slices.Sorted(maps.Keys(refusals)) }
