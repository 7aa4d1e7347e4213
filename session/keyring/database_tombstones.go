package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
)

// uniqueViolation is PostgreSQL's code for a number that is taken.
const uniqueViolation = "23505"

// Tombstone implements session.Keyring. It also returns session.ErrInvalid for
// one that names nobody.
func (d *Database) Tombstone(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	content, err := tombstoneContent(&t)
	if err != nil {
		return t, err
	}
	for {
		next, err := d.nextTombstone(ctx, t.Number)
		if err == nil {
			// What is sealed is bound to its number, so the number comes first.
			err = d.putTombstone(ctx, next, d.box.seal(tombstoneName(next), content))
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == uniqueViolation {
			continue // another node was faster
		}
		if err == nil {
			t.Number = next
		}
		return t, unavailable(err)
	}
}

func (d *Database) nextTombstone(ctx context.Context, above int64) (next int64, err error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	err = d.pool.QueryRow(ctx, "SELECT greatest(max(number), $1) + 1 FROM tombstones", above).Scan(&next)
	return next, err
}

func (d *Database) putTombstone(ctx context.Context, number int64, sealed []byte) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	_, err := d.pool.Exec(ctx, "INSERT INTO tombstones (number, sealed) VALUES ($1, $2)", number, sealed)
	return err
}

// Tombstones implements session.Keyring.
func (d *Database) Tombstones(ctx context.Context, above int64) ([]session.Tombstone, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT number, sealed FROM tombstones WHERE number > $1 ORDER BY number", above)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Tombstone, error) {
		var number int64
		var sealed []byte
		if err := row.Scan(&number, &sealed); err != nil {
			return session.Tombstone{}, err
		}
		content, err := d.box.open(tombstoneName(number), sealed)
		if err != nil {
			return session.Tombstone{}, err
		}
		return parseTombstone(number, content)
	})
	return list, unavailable(err)
}

// PurgeTombstones implements session.Keyring.
func (d *Database) PurgeTombstones(ctx context.Context, before time.Time) (int, error) {
	list, err := d.Tombstones(ctx, 0)
	if err != nil {
		return 0, err
	}
	var old []int64
	for _, t := range list[:max(0, len(list)-1)] {
		if t.At.Before(before) {
			old = append(old, t.Number)
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	tag, err := d.pool.Exec(ctx, "DELETE FROM tombstones WHERE number = ANY ($1)", old)
	return int(tag.RowsAffected()), unavailable(err)
}
