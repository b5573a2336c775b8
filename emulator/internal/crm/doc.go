// Package crm has the methods crm.*: items and their product rows, types, pipelines, statuses, custom fields and comments.
package crm
