package yamlfile

import (
	"io"
	"os"
)

// ReadFile reads a file for Parse. It stops one byte after MaxBytes, so that a larger file
// needs no more memory than the largest allowed one. Parse refuses a text above MaxBytes.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return Read(f)
}

// Read reads the text of a file for Parse, with the same limit as ReadFile.
func Read(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, MaxBytes+1))
}
