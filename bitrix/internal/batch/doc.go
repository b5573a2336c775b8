// Package batch gathers the commands of many callers into few requests. A queue
// holds the commands, senders take what may travel together within the portal's
// limits, and each caller gets its own replies. How a request is made is up to
// the Send of the Options.
package batch
