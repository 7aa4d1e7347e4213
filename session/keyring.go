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
	// the day given, but for those kept, and returns how many it destroyed.
	// Repeating it is harmless. Of the days from the first one of which a salt
	// is kept, Salt may make new ones for whoever still takes them for days to
	// come.
	DestroySalts(ctx context.Context, before Day, kept ...SaltID) (int, error)
	// SaltDays returns the days of which there are salts, in order.
	SaltDays(ctx context.Context) ([]Day, error)
	// HoldSalt returns the 32-byte salt under which the copy of a hold is sealed.
	// Without one it makes it, to live until the time given; if that is zero, it
	// returns ErrGone, as it does for one that was destroyed. Of several callers
	// that make it at once, all get the same.
	HoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) ([]byte, error)
	// ExtendHoldSalt lets the salt of a hold live until then, if that is later.
	// Where there is none it does nothing.
	ExtendHoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) error
	// HoldSalts returns the holds of which there are salts, with the time until
	// which each is to live: zero if that is not known.
	HoldSalts(ctx context.Context) (map[uuid.UUID]time.Time, error)
	// DestroyHoldSalt destroys the salt of a hold, for good: none is made for it
	// again. Repeating it, or destroying one that was never made, is harmless.
	DestroyHoldSalt(ctx context.Context, hold uuid.UUID) error
	// DestroyTenantSalts destroys every salt of a tenant, whichever day it
	// expires, and returns how many it destroyed. A salt of that tenant that is
	// asked for later is a new one. Repeating it is harmless.
	DestroyTenantSalts(ctx context.Context, tenant string) (int, error)
	// Tombstone keeps t, durably, under the next number above every other of
	// this keyring and above the number that t comes with, which is the last
	// that the store has carried out: a keyring restored from a backup must not
	// give a number twice. It returns t with its number.
	Tombstone(ctx context.Context, t Tombstone) (Tombstone, error)
	// Tombstones returns what Tombstone keeps under numbers above the one given,
	// in the order of numbers.
	Tombstones(ctx context.Context, above int64) ([]Tombstone, error)
	// PurgeTombstones removes tombstones set before a time, but never the newest
	// of all, which says where numbers go on. It returns how many it removed.
	PurgeTombstones(ctx context.Context, before time.Time) (int, error)
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

// SaltID names the salt of a tenant's tracks that expire on a day.
type SaltID struct {
	Tenant string
	Day    Day
}

// SigningKey is an Ed25519 key that signs agent tokens and links.
type SigningKey struct {
	ID        string // the token's kid
	CreatedAt time.Time
	Seed      []byte // 32 bytes
}
