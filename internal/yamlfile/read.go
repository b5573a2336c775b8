package yamlfile

import (
	"errors"
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
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// One byte more than the file has, so that its end is seen without another read.
	data := make([]byte, min(info.Size(), MaxBytes)+1)
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return data[:n], nil
	}
	if err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(io.LimitReader(f, int64(MaxBytes+1-n))) // it has grown, or is no plain file
	return append(data, rest...), err
}

// Read reads the text of a file for Parse, with the same limit as ReadFile.
func Read(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, MaxBytes+1))
}
