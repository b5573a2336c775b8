// Package limit keeps a client within the limits of a portal. Bucket holds the
// request rate, Operating the working time of each method. Both work with plain
// values and know no calls.
package limit
