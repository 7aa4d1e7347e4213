package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// A printed API key is
//
//	ronde_<id: 32 hexadecimal digits>_<secret: 52 characters>
//
// where the secret is 32 random bytes in the base32 of RFC 4648, in lower case
// and without padding: one word to a double click, and safe in a header, a URL
// or a shell. Every key is printed in exactly one way.
const (
	apiKeyPrefix    = "ronde_"
	apiKeySecret    = 32 // bytes
	apiKeyIDLen     = 32
	apiKeySecretLen = 52
)

var apiKeyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewAPIKey returns a new API key of the tenant, and the key as it is printed,
// once: k holds only the hash of its secret. CreatedAt is to be set from the store's
// clock. ErrInvalid for a bad tenant, a role other than Platform, Operator and
// Auditor, and a label that does not fit on one line; an empty one does.
func NewAPIKey(tenant string, role Role, label string) (k APIKey, printed string, err error) {
	if err := ValidateTenant(tenant); err != nil {
		return APIKey{}, "", err
	}
	switch role {
	case Platform, Operator, Auditor:
	default:
		return APIKey{}, "", ErrInvalid.At("role").Because("must be platform, operator or auditor")
	}
	if label != "" {
		if err := validText("label", label); err != nil {
			return APIKey{}, "", err
		}
	}
	var raw [apiKeySecret]byte
	_, _ = rand.Read(raw[:]) // never fails: it aborts the process instead
	secret := apiKeyEncoding.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(secret))
	k = APIKey{ID: NewID(), Tenant: tenant, Role: role, Label: label, Hash: hash[:]}
	return k, apiKeyPrefix + hex.EncodeToString(k.ID[:]) + "_" + secret, nil
}

// ParseAPIKey returns the id of a printed key and the SHA-256 of its secret,
// for APIKey.Matches. ErrToken for anything that NewAPIKey does not print.
func ParseAPIKey(printed string) (id uuid.UUID, hash []byte, err error) {
	rest, ok := strings.CutPrefix(printed, apiKeyPrefix)
	if !ok || len(rest) != apiKeyIDLen+1+apiKeySecretLen || rest[apiKeyIDLen] != '_' {
		return uuid.Nil, nil, ErrToken
	}
	digits, secret := rest[:apiKeyIDLen], rest[apiKeyIDLen+1:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil || hex.EncodeToString(id[:]) != digits {
		return uuid.Nil, nil, ErrToken
	}
	// Decoding alone would let line breaks and stray trailing bits pass.
	raw, err := apiKeyEncoding.DecodeString(secret)
	if err != nil || apiKeyEncoding.EncodeToString(raw) != secret {
		return uuid.Nil, nil, ErrToken
	}
	sum := sha256.Sum256([]byte(secret))
	return id, sum[:], nil
}

// Matches reports, in constant time, whether hash is that of the key's secret.
// Whether the key was revoked is another question.
func (k *APIKey) Matches(hash []byte) bool {
	return len(k.Hash) == sha256.Size && subtle.ConstantTimeCompare(k.Hash, hash) == 1
}
