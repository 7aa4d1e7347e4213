package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// KeyringID returns the identity of the keyring that was adopted, or the zero
// UUID.
func (s *Store) KeyringID(ctx context.Context) (id uuid.UUID, err error) {
	err = s.read(ctx, func(q queryer) error { return adopted(q, &id) })
	return id, err
}

// AdoptKeyring remembers id unless another keyring was adopted before, and
// returns the one that is remembered.
func (s *Store) AdoptKeyring(ctx context.Context, id uuid.UUID) (remembered uuid.UUID, err error) {
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec("INSERT INTO keyring (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING", id); err != nil {
			return err
		}
		return adopted(t.query, &remembered)
	})
	return remembered, err
}

func adopted(q queryer, id *uuid.UUID) error {
	err := q.one([]any{id}, "SELECT id FROM keyring")
	if errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}

// Sealed reports whether there are missions that have begun and not expired.
func (s *Store) Sealed(ctx context.Context) (sealed bool, err error) {
	err = s.read(ctx, func(q queryer) error { return hasSealed(q, s.clock(), &sealed) })
	return sealed, err
}

func hasSealed(q queryer, now time.Time, sealed *bool) error {
	return q.one([]any{sealed}, "SELECT EXISTS (SELECT 1 FROM missions WHERE expires_on > ?)", day(session.DayOf(now)))
}
