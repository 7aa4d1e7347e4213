package keyring

import (
	"context"

	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// SigningKeys implements session.Keyring. It asks the database each time.
func (d *Database) SigningKeys(ctx context.Context) ([]session.SigningKey, error) {
	keys, _, err := d.signingKeys(ctx)
	if err == nil && len(keys) == 0 {
		if err = d.makeSigningKey(ctx, 1); err == nil {
			keys, _, err = d.signingKeys(ctx)
		}
	}
	return keys, unavailable(err)
}

// RotateSigningKey makes a new signing key and returns all of them, the newest
// first: see Folder.RotateSigningKey.
func (d *Database) RotateSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	_, last, err := d.signingKeys(ctx)
	if err == nil {
		err = d.makeSigningKey(ctx, last+1)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return d.SigningKeys(ctx)
}

// signingKeys returns all keys, the newest first, and the highest number.
func (d *Database) signingKeys(ctx context.Context) ([]session.SigningKey, int, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT number, sealed FROM signing_keys ORDER BY number DESC")
	var keys []session.SigningKey
	var number, last int
	var sealed []byte
	_, err := pgx.ForEachRow(rows, []any{&number, &sealed}, func() error {
		last = max(last, number)
		content, err := d.box.open(signingName(number), sealed)
		if err != nil {
			return err
		}
		key, err := parseSigningKey(signingName(number), content)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return keys, last, nil
}

// makeSigningKey makes the key of that number unless another node did.
func (d *Database) makeSigningKey(ctx context.Context, number int) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	_, err := d.pool.Exec(ctx, "INSERT INTO signing_keys (number, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING",
		number, d.box.seal(signingName(number), newSigningKey()))
	return err
}
