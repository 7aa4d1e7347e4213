package keyring

import (
	"context"

	"github.com/google/uuid"
)

// HoldSalt implements session.Keyring.
func (d *Database) HoldSalt(ctx context.Context, hold uuid.UUID, create bool) ([]byte, error) {
	name := holdName(hold)
	var made []byte
	if create {
		made = d.box.seal(name, newSalt())
	}
	sealed, err := d.askSalt(ctx, "SELECT gone, sealed FROM ronde_hold_salt($1, $2)", hold, made)
	if err != nil {
		return nil, unavailable(err)
	}
	content, err := d.box.open(name, sealed)
	if err != nil {
		return nil, unavailable(err)
	}
	salt, err := parseSalt(name, content)
	return salt, unavailable(err)
}

// DestroyHoldSalt implements session.Keyring.
func (d *Database) DestroyHoldSalt(ctx context.Context, hold uuid.UUID) error {
	// Two statements: once the first is committed, no salt is given or made.
	for _, sql := range []string{"SELECT ronde_mark_hold_destroyed($1)", "SELECT ronde_drop_hold_salt($1)"} {
		if err := d.run(ctx, sql, hold); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func (d *Database) run(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	_, err := d.pool.Exec(ctx, sql, args...)
	return err
}
