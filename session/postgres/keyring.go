package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// KeyringID implements session.Store.
func (s *Store) KeyringID(ctx context.Context) (uuid.UUID, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return adopted(ctx, s.pool)
}

// AdoptKeyring implements session.Store. Of several that insert at once, one
// does, and the others wait for it; the second statement sees what it wrote.
func (s *Store) AdoptKeyring(ctx context.Context, id uuid.UUID) (uuid.UUID, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if _, err := s.pool.Exec(ctx, "INSERT INTO keyring (id) VALUES ($1) ON CONFLICT DO NOTHING", id); err != nil {
		return uuid.Nil, storeError(err)
	}
	return adopted(ctx, s.pool)
}

// Sealed implements session.Store.
func (s *Store) Sealed(ctx context.Context) (sealed bool, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return hasSealed(ctx, s.pool)
}

func hasSealed(ctx context.Context, q rowQueryer) (sealed bool, err error) {
	err = q.QueryRow(ctx, "SELECT public.ronde_sealed()").Scan(&sealed)
	return sealed, storeError(err)
}

// adopted returns the identity that the database remembers, or the zero UUID.
func adopted(ctx context.Context, q rowQueryer) (id uuid.UUID, err error) {
	err = storeError(q.QueryRow(ctx, "SELECT id FROM public.keyring").Scan(&id))
	if errors.Is(err, session.ErrNotFound) {
		return uuid.Nil, nil
	}
	return id, err
}

// rowQueryer is a pool or a connection.
type rowQueryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
