// Package testfile reads and checks the test files of rule sets, *_test.yaml.
package testfile
