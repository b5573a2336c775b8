package ingest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/b24rules/b24rules/bitrix"
)

// Digest recognises the application token of a portal's events without knowing it. The
// zero value recognises none.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a token. That of an empty one recognises none.
func DigestOf(token bitrix.Secret) Digest {
	if token == "" {
		return Digest{}
	}
	return sha256.Sum256([]byte(token.Reveal()))
}

// ParseDigest reads what String has returned.
func ParseDigest(text string) (p Digest, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(p) {
		return Digest{}, false
	}
	return Digest(b), true
}

// String returns the digest as hexadecimal digits.
func (p Digest) String() string { return hex.EncodeToString(p[:]) }

// proves compares in constant time: the time reveals neither the token nor whether
// the portal exists.
func (p Digest) proves(token bitrix.Secret) bool {
	got := sha256.Sum256([]byte(token.Reveal()))
	return subtle.ConstantTimeCompare(got[:], p[:]) == 1 && p != (Digest{})
}
