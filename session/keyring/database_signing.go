package keyring

import (
	"context"

	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// SigningKeys implements session.Keyring. It asks the database each time.
func (d *Database) SigningKeys(ctx context.Context) ([]session.SigningKey, error) {
	keys, err := d.signingKeys(ctx)
	return bare(keys), unavailable(err)
}

// EnsureSigningKey implements session.Keyring.
func (d *Database) EnsureSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	keys, err := d.SigningKeys(ctx)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	if err := d.makeSigningKey(ctx, 1); err != nil {
		return nil, unavailable(err)
	}
	return d.SigningKeys(ctx)
}

// RotateSigningKey implements session.Keyring.
func (d *Database) RotateSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	keys, err := d.signingKeys(ctx)
	if err == nil {
		err = d.makeSigningKey(ctx, next(keys))
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return d.SigningKeys(ctx)
}

// RemoveSigningKeys implements session.Keyring.
func (d *Database) RemoveSigningKeys(ctx context.Context, ids ...string) (removed int, err error) {
	keys, err := d.signingKeys(ctx)
	if err != nil {
		return 0, unavailable(err)
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	err = d.pool.QueryRow(ctx, "SELECT ronde_remove_signing_keys($1)", removable(keys, ids)).Scan(&removed)
	return removed, unavailable(err)
}

// signingKeys returns all keys, the newest first.
func (d *Database) signingKeys(ctx context.Context) (keys []numberedKey, err error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT number, sealed FROM signing_keys ORDER BY number DESC")
	var number int
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&number, &sealed}, func() error {
		content, err := d.box.open(signingName(number), sealed)
		if err != nil {
			return err
		}
		key, err := parseSigningKey(number, content)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// makeSigningKey makes the key of that number unless another node did.
func (d *Database) makeSigningKey(ctx context.Context, number int) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	_, err := d.pool.Exec(ctx, "INSERT INTO signing_keys (number, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING",
		number, d.box.seal(signingName(number), newSigningKey()))
	return err
}
