// Package keyring keeps the secrets that must outlive no data, day salts and
// signing keys, and the tombstones that must outlive all of it, behind the interface session.Keyring. Every implementation
// passes the suite in keyringtest.
//
// Every entry is sealed with a key derived from the root secret and bound to its
// own name: a copy of the keyring alone is useless, and a flipped bit or an entry
// in another's place is found and named.
//
// # In a folder
//
// Folder keeps them in files, for one machine: several processes may share it.
//
//	keyring                     who this keyring is, and of which root secret
//	salts/2026-11-21/acme       the salt of a tenant and expiry day
//	salts/holds/0195a7c2-…      the salt of a hold's copy
//	salts/holds/0195a7c2-….until-20270131T000000.000Z  until when that is to live (by name alone)
//	signing/00000001            a signing key; the highest number signs
//	destroyed/2026-11-21        every salt that expired before this day is gone (by name alone)
//	destroyed/0195a7c2-…        the salt of this hold is gone (by name alone)
//	tombstones/00000001         who was erased, in the order of numbers
//
// Folders have mode 0700, files 0600. A salt is destroyed by overwriting its
// file and removing it. A file system that writes elsewhere (copy on write,
// snapshots, flash memory) keeps the sealed bytes for longer.
//
// # In PostgreSQL
//
// Database keeps them in PostgreSQL, version 15 or later, for many nodes, which
// are given the same root secret. Its entries have the names above. Migrate
// makes two roles that nobody can log in as: ronde_keys_owner owns everything;
// ronde_keys is what every connection becomes, whoever logs in. It can read and
// add identity, signing keys and tombstones, remove signing keys but the newest,
// and get to salts only through functions: one by one, and to destroy whole days,
// all of a day but some tenants', or a whole tenant's. It cannot change an entry.
//
// PostgreSQL does not erase what DELETE removes: the row stays in its file until
// the room is needed. So every expiry day has a table of its own, and to destroy
// its salts is to drop it: the file goes. What that leaves of the sealed bytes,
// which are of no use without the root secret:
//
//   - The write-ahead log has them until the segment that they were written to
//     is removed. By default it is renamed and used again instead, which on a
//     quiet server takes very long. With wal_recycle = off and archive_timeout =
//     1h it is removed by the first checkpoint after that hour in which anything
//     was written.
//   - Archived log, base backups and dumps have them for as long as these are
//     kept. Streaming replicas drop the file too.
//   - The blocks of a removed file lie on the disk until they are used again.
//
// The database must not be that of the store, and should be on another server:
// a physical backup, and the log, are of a whole server.
//
// # Backups
//
// Backups of a keyring, log archives included, bring destroyed salts back: keep
// them no longer than the stated days. A keyring that is restored has forgotten
// the tombstones set since: carry those erasures out again.
package keyring

import (
	"errors"
	"fmt"

	"ronde/session"
)

// What can be wrong with an entry of a keyring. Both come wrapped, with the
// entry's name; from the methods of a keyring, in an error that is
// session.ErrUnavailable too.
var (
	// ErrDamaged: the entry was changed since it was written.
	ErrDamaged = errors.New("is damaged")
	// ErrWrongRoot: the entry was sealed under another root secret.
	ErrWrongRoot = errors.New("was sealed under another root secret than this one")
)

// unavailable marks err as session.ErrUnavailable, so that callers know to ask
// again later. What is an error of the domain already stays as it is.
func unavailable(err error) error {
	var e *session.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("keyring: %w (%w)", err, session.ErrUnavailable)
}
