// Package keyring keeps the secrets that must outlive no data: day salts and
// signing keys, behind the interface session.Keyring. Every implementation
// passes the suite in keyringtest.
//
// Folder keeps them in files, for one machine: several processes may share it.
//
//	keyring                     who this keyring is, and of which root secret
//	salts/2026-11-21/acme       the salt of a tenant and expiry day
//	signing/00000001            a signing key; the highest number signs
//	destroyed/2026-11-21        every salt that expired before this day is gone (by name alone)
//
// Every file is sealed with a key derived from the root secret and bound to its
// own name: a copy of the folder alone is useless, and a flipped bit or a file
// in another's place is found and named. Folders have mode 0700, files 0600.
//
// Backups of the folder bring destroyed salts back: keep them no longer than
// the stated days.
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
