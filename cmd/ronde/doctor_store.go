package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/sqlite"
)

// checkStore looks at the database: can it be reached, and is its schema this
// program's.
func (d *doctor) checkStore(ctx context.Context) finding {
	if !d.config.Embedded() {
		return d.checkPostgres(ctx)
	}
	_, path := configs.Split(d.config.Store)
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return broken("store", folderAdvice(d.config, filepath.Dir(path)), "%v", err)
	}
	r, err := sqlite.Inspect(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.unmade = path
		return healthy("store", "%s will be made at the first start", path)
	case err != nil:
		return broken("store", "restore a backup, or name another file with --store", "%v", err)
	}
	d.sealed = r.Sealed
	if r.Schema < r.Known {
		return healthy("store", "%s has schema %d, and the next start brings it to %d", path, r.Schema, r.Known)
	}
	d.known, d.erased = r.KeyringID, r.LastErasure
	return healthy("store", "%s has schema %d", path, r.Schema)
}

func (d *doctor) checkPostgres(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	before := d.now()
	r, err := postgres.Inspect(ctx, d.config.Store)
	after := d.now()
	if err != nil {
		return broken("store", unreachableStore, "%v", err)
	}
	d.database = &r
	d.known, d.sealed, d.erased = r.KeyringID, r.Sealed, r.LastErasure
	if !r.Now.IsZero() {
		drift := driftOf(before, after, r.Now, time.Millisecond)
		d.drift = &drift
	}
	switch {
	case !r.Migrated:
		return broken("store", "run: ronde migrate --store …, with a login that may", "PostgreSQL %s, without Ronde's schema", r.Server)
	case !r.Member: // the role is a check of its own
		return healthy("store", "PostgreSQL %s can be reached", r.Server)
	case r.Schema != postgres.SchemaVersion:
		return broken("store", "", "%v", &postgres.SchemaError{Found: r.Schema})
	case !r.Durable:
		return broken("store", "set fsync = on: a crash of the machine would lose what was acknowledged", "PostgreSQL %s does not sync what it commits", r.Server)
	}
	return healthy("store", "PostgreSQL %s, schema %d", r.Server, r.Schema)
}

// driftOf returns how far a clock that was read between two moments is ahead of
// the clock of those: 0 as far as anybody can tell. A reading stands for a
// whole step of its own clock.
func driftOf(before, after, reading time.Time, step time.Duration) time.Duration {
	switch {
	case reading.After(after):
		return reading.Sub(after)
	case reading.Add(step).Before(before):
		return reading.Add(step).Sub(before)
	}
	return 0
}

// checkRole looks at what the login of the nodes may do in PostgreSQL.
func (d *doctor) checkRole(context.Context) finding {
	const grant = "make a login for the nodes alone: CREATE ROLE name LOGIN; GRANT ronde_app TO name"
	switch r := d.database; {
	case r == nil || !r.Migrated:
		return finding{} // there is none, or not yet
	case !r.Member:
		return broken("role", "GRANT ronde_app TO it", "%s is no member of ronde_app, and can serve nothing", r.Login)
	case r.Superuser:
		return broken("role", grant, "%s is a superuser: isolation between tenants and the judging of positions would hang on its good will", r.Login)
	case len(r.Owned) > 0:
		return broken("role", grant, "%s owns %s, itself or through a role: it could store what was never judged", r.Login, strings.Join(r.Owned, ", "))
	default:
		return healthy("role", "%s is a member of ronde_app, and owns nothing", r.Login)
	}
}

// checkKeys opens the keyring, but makes none.
func (d *doctor) checkKeys(ctx context.Context) finding {
	scheme, path := configs.Split(d.config.Keys)
	there, err := keyringThere(ctx, d.config)
	if err == nil && !there && d.known == uuid.Nil {
		if d.sealed {
			return broken("keys", "", "%v", errEmptyKeyring)
		}
		return healthy("keys", "the keyring will be made at the first start")
	}
	if err == nil {
		err = checkKeyringThere(ctx, d.config, d.known)
	}
	if err != nil {
		return broken("keys", "every node reads it, as the node's own user", "%v", err)
	}
	if d.root.IsZero() {
		return broken("keys", "restore the root secret that it was made with: no other opens it", "the keyring cannot be opened without a root secret")
	}
	ring, err := openKeyring(ctx, d.config, d.root)
	if errors.Is(err, keyring.ErrWrongRoot) {
		return broken("keys", "give the --root-secret-file that this keyring was made with", "%v", err)
	}
	if err != nil {
		return broken("keys", "it must be whole, and belong to the node's own user alone", "%v", err)
	}
	d.ring = ring
	if d.known != uuid.Nil && d.known != ring.ID() {
		return broken("keys", "", "%v", strangeKeyring(ring.ID(), d.known))
	}
	if days, err := ring.SaltDays(ctx); d.known == uuid.Nil && d.sealed && (err != nil || len(days) == 0) {
		return broken("keys", "", "%v", errors.Join(errEmptyKeyring, err))
	}
	if _, err := ring.SigningKeys(ctx); err != nil {
		return broken("keys", "restore the keyring's backup: without it no token can be checked", "%v", err)
	}
	if scheme == "file" {
		if open := openToOthers(path); open != "" {
			return doubtful("keys", "chmod -R go= "+path, "%s can be read by others", open)
		}
	}
	return healthy("keys", "the keyring %s opens under the root secret", ring.ID())
}

// checkErasures compares what the keyring remembers of erasures with what the store has carried out.
func (d *doctor) checkErasures(ctx context.Context) finding {
	if d.ring == nil || d.known != d.ring.ID() {
		return finding{} // there is none yet, or another one, which was said
	}
	all, err := d.ring.Tombstones(ctx, 0)
	if err != nil {
		return broken("erasures", "restore the keyring's backup", "%v", err)
	}
	last, pending := int64(0), 0
	for _, t := range all {
		last = t.Number
		if t.Number > d.erased {
			pending++
		}
	}
	switch {
	case last < d.erased:
		return doubtful("erasures", "erase again, by `ronde tenant close` or POST /v1/agents/{agent}/erase, whoever was erased since the keyring's backup was made: a backup of the store could bring them back",
			"the store has carried out erasure %d, and the keyring knows of none after %d: it was restored from an older backup", d.erased, last)
	case pending > 0:
		return doubtful("erasures", "start a node: it erases before it serves; nodes that run do it within minutes",
			"%d erasures are to be carried out again: the store was restored from a backup, or they were interrupted", pending)
	}
	return healthy("erasures", "all %d that the keyring remembers were carried out", len(all))
}

// openToOthers returns a file or folder below dir whose mode lets others in, or
// "".
func openToOthers(dir string) (found string) {
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			found = path
			return fs.SkipAll
		}
		return nil // what cannot be looked at is not open
	})
	return found
}

// How far clocks may be apart: tokens expire by the nodes' clocks, everything
// else by the store's.
const (
	driftWarn = 2 * time.Second
	driftFail = 30 * time.Second
)

// checkClock compares this machine's clock with the store's.
func (d *doctor) checkClock(context.Context) finding {
	if d.config.Embedded() {
		return healthy("clock", "the embedded store goes by this machine's clock")
	}
	if d.drift == nil {
		return finding{} // the store was not reached, which was said
	}
	return judgeDrift("clock", "the database", *d.drift)
}

func judgeDrift(check, whose string, drift time.Duration) finding {
	const advice = "let NTP keep the clocks of all machines (timedatectl set-ntp true)"
	way := "ahead of"
	if drift < 0 {
		way = "behind"
	}
	found := fmt.Sprintf("the clock of %s is %v %s this machine's", whose, drift.Abs().Round(100*time.Millisecond), way)
	switch {
	case drift.Abs() > driftFail:
		return broken(check, advice, "%s", found)
	case drift.Abs() > driftWarn:
		return doubtful(check, advice, "%s", found)
	}
	return healthy(check, "the clock of %s agrees with this machine's", whose)
}
