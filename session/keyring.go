package session

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Keyring keeps the secrets that must outlive no data: it is backed up apart
// from the store, and for a shorter time. Destroying a salt makes everything
// sealed under it unreadable, in the store and in every backup of the store.
//
// Implementations are safe for many goroutines and many nodes at once. They
// return ErrUnavailable when they cannot answer now.
type Keyring interface {
	// ID returns the identity that the keyring was given when it was made. A
	// store remembers it (Store.AdoptKeyring), so that a keyring that is empty
	// because it is new can be told from one whose disk is not mounted.
	ID() uuid.UUID
	// Salt returns the 32-byte salt of a tenant's tracks that expire on day,
	// and makes it if there is none and day is not before today. Of several
	// callers that make it at once, all get the same. It returns ErrGone for
	// a salt that was destroyed or never made in time.
	Salt(ctx context.Context, tenant string, day, today Day) ([]byte, error)
	// DestroySalts destroys every salt, of every tenant, that expired before
	// the day given, and returns how many it destroyed. Repeating it is
	// harmless.
	DestroySalts(ctx context.Context, before Day) (int, error)
	// SigningKeys returns all keys that verify tokens, the newest first: none if
	// none was ever made.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// EnsureSigningKey is SigningKeys, but without any it makes the first. Of
	// several callers at once, all get the same.
	EnsureSigningKey(ctx context.Context) ([]SigningKey, error)
	// RotateSigningKey makes a new signing key and returns all of them. Of
	// several callers at once, one makes it and all get it.
	RotateSigningKey(ctx context.Context) ([]SigningKey, error)
	// RemoveSigningKeys removes keys for good: whatever they signed is void. The
	// newest stays, whether named or not, and what is not there is ignored. It
	// returns how many it removed.
	RemoveSigningKeys(ctx context.Context, ids ...string) (int, error)
	// Close releases what the keyring holds.
	Close() error
}

// SigningKey is an Ed25519 key that signs agent tokens and links.
type SigningKey struct {
	ID        string // the token's kid
	CreatedAt time.Time
	Seed      []byte // 32 bytes
}
