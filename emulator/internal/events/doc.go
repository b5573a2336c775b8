// Package events sends the events of a portal to their handlers and has the methods event.*.
package events
