package keyring

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// HoldSalt implements session.Keyring.
func (d *Database) HoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) ([]byte, error) {
	name := holdName(hold)
	var made []byte
	if !until.IsZero() {
		made = d.box.seal(name, newSalt())
	}
	sealed, err := d.askSalt(ctx, "SELECT gone, sealed FROM ronde_hold_salt($1, $2, $3)", hold, made, until)
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

// ExtendHoldSalt implements session.Keyring.
func (d *Database) ExtendHoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) error {
	return unavailable(d.run(ctx, "SELECT ronde_extend_hold_salt($1, $2)", hold, until))
}

// HoldSalts implements session.Keyring.
func (d *Database) HoldSalts(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	ends := map[uuid.UUID]time.Time{}
	rows, _ := d.pool.Query(ctx, "SELECT hold, coalesce(until, '0001-01-01 00:00:00Z') FROM ronde_hold_salts()")
	var hold uuid.UUID
	var until time.Time
	_, err := pgx.ForEachRow(rows, []any{&hold, &until}, func() error {
		ends[hold] = session.Millis(until)
		return nil
	})
	return ends, unavailable(err)
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
