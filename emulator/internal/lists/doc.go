// Package lists has the methods lists.*: universal lists with their fields, sections and elements.
package lists
