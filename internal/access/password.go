// Package access decides who may enter the console, and what they may do there.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a hash: 19 MiB, two passes, one lane (OWASP's recommendation for argon2id).
const (
	hashMemory = 19 * 1024
	hashPasses = 2
	hashLanes  = 1
	hashSalt   = 16
	hashLength = 32
)

// computing bounds the memory that hashes take at the same time.
var computing = make(chan struct{}, 2)

// errHash is returned for a text that is no hash of HashPassword.
var errHash = errors.New("not a password hash: 'b24rules console passwd' prints one")

// HashPassword returns the text to store for a password.
func HashPassword(password string) string {
	salt := make([]byte, hashSalt)
	_, _ = rand.Read(salt) // it never fails
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(derive(password, salt, hashPasses, hashMemory, hashLanes)))
}

func derive(password string, salt []byte, passes, memory uint32, lanes uint8) []byte {
	computing <- struct{}{}
	defer func() { <-computing }()
	return argon2.IDKey([]byte(password), salt, passes, memory, lanes, hashLength)
}

// parsedHash is the content of a stored hash.
type parsedHash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func parseHash(text string) (h parsedHash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, errHash
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return h, errHash
	}
	// A hash with a huge cost would stop the process at the first sign-in.
	if h.memory < 8 || h.memory > 1<<20 || h.passes < 1 || h.passes > 32 || h.lanes < 1 || h.lanes > 16 {
		return h, errHash
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 {
		return h, errHash
	}
	if h.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.sum) != hashLength {
		return h, errHash
	}
	return h, nil
}

// CheckHash returns an error for a text that is no hash of HashPassword.
func CheckHash(text string) error {
	_, err := parseHash(text)
	return err
}

// unknown is a hash that no password has. An unknown name costs the same time as a known one.
var unknown = parsedHash{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: make([]byte, hashSalt), sum: make([]byte, hashLength)}

// matches reports whether a password has the hash. An empty hash matches no password.
func matches(hash, password string) bool {
	h, err := parseHash(hash)
	if err != nil {
		h = unknown
	}
	sum := derive(password, h.salt, h.passes, h.memory, h.lanes)
	return subtle.ConstantTimeCompare(sum, h.sum) == 1 && err == nil
}

// NewToken returns a random token, and the text to store for it.
func NewToken() (token, stored string) {
	token = "b24_" + rand.Text()
	return token, HashToken(token)
}

// HashToken returns the text that is stored for a token. Tokens are long and random, so that
// a plain hash is enough.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// CheckTokenHash returns an error for a text that HashToken does not return.
func CheckTokenHash(text string) error {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if sum, err := hex.DecodeString(digits); !ok || err != nil || len(sum) != sha256.Size {
		return errors.New("not a token hash: 'b24rules console token' prints one")
	}
	return nil
}
