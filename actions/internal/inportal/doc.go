// Package inportal checks what steps read and write against the snapshot of a portal.
package inportal
