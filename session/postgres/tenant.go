package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
)

// EnsureTenant implements session.Store.
func (s *Store) EnsureTenant(ctx context.Context, tenant string) error {
	return s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		queueAdmit(b, tenant)
		b.Queue("INSERT INTO tenants (name, created_at) VALUES ($1, ronde_now()) ON CONFLICT DO NOTHING", tenant)
	})
}

// CreateAPIKey implements session.Store.
func (s *Store) CreateAPIKey(ctx context.Context, k session.APIKey) error {
	return s.inTenant(ctx, k.Tenant, func(b *pgx.Batch) {
		queueAdmit(b, k.Tenant)
		b.Queue(`INSERT INTO api_keys (id, tenant, role, label, hash, created_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			k.ID, k.Tenant, k.Role, k.Label, k.Hash, session.Millis(k.CreatedAt), optional(k.RevokedAt))
	})
}

const keyColumns = "id, tenant, role, label, hash, created_at, revoked_at"

// APIKey implements session.Store.
func (s *Store) APIKey(ctx context.Context, id uuid.UUID) (session.APIKey, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT "+keyColumns+" FROM ronde_api_key($1)", id)
	k, err := pgx.CollectExactlyOneRow(rows, scanKey)
	return k, storeError(err)
}

// APIKeys implements session.Store.
func (s *Store) APIKeys(ctx context.Context, tenant string) (keys []session.APIKey, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT "+keyColumns+" FROM api_keys WHERE tenant = $1 ORDER BY created_at, id", tenant).
			Query(func(rows pgx.Rows) (err error) {
				keys, err = pgx.CollectRows(rows, scanKey)
				return err
			})
	})
	return keys, err
}

func scanKey(row pgx.CollectableRow) (session.APIKey, error) {
	var k session.APIKey
	var revoked *time.Time
	err := row.Scan(&k.ID, &k.Tenant, &k.Role, &k.Label, &k.Hash, &k.CreatedAt, &revoked)
	k.CreatedAt, k.RevokedAt = session.Millis(k.CreatedAt), required(revoked)
	return k, err
}

// RevokeAPIKey implements session.Store.
func (s *Store) RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID) error {
	found := false
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("UPDATE api_keys SET revoked_at = coalesce(revoked_at, ronde_now()) WHERE tenant = $1 AND id = $2", tenant, id).
			Exec(func(tag pgconn.CommandTag) error {
				found = tag.RowsAffected() > 0
				return nil
			})
	})
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return err
}

const noticeColumns = "version, published_at, text, controller, purpose, legal_basis, recipients, retention, rights"

func scanNotice(n *session.Notice) func(pgx.Row) error {
	return func(row pgx.Row) error {
		err := row.Scan(&n.Version, &n.PublishedAt, &n.Text, &n.Controller, &n.Purpose, &n.LegalBasis, &n.Recipients, &n.Retention, &n.Rights)
		n.PublishedAt = session.Millis(n.PublishedAt)
		return err
	}
}

// Notice implements session.Store.
func (s *Store) Notice(ctx context.Context, tenant string) (n session.Notice, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT "+noticeColumns+" FROM notices WHERE tenant = $1 ORDER BY version DESC LIMIT 1", tenant).QueryRow(scanNotice(&n))
	})
	return n, err
}

// PublishNotice implements session.Store. Those that publish for one tenant at
// once take turns, or they would choose the same version.
func (s *Store) PublishNotice(ctx context.Context, tenant string, n session.Notice) (session.Notice, error) {
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT pg_advisory_xact_lock(hashtextextended('ronde_notice ' || $1, 0))", tenant)
		b.Queue(`INSERT INTO notices (tenant, `+noticeColumns+`)
			SELECT $1, coalesce(max(version), 0) + 1, ronde_now(), $2, $3, $4, $5, $6, $7, $8 FROM notices WHERE tenant = $1
			RETURNING `+noticeColumns, tenant, n.Text, n.Controller, n.Purpose, n.LegalBasis, n.Recipients, n.Retention, n.Rights).
			QueryRow(scanNotice(&n))
	})
	return n, err
}

// Acknowledge implements session.Store.
func (s *Store) Acknowledge(ctx context.Context, tenant, agent string, version int) error {
	return s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(`INSERT INTO acknowledgements (tenant, agent, version, acknowledged_at)
			VALUES ($1, $2, $3, ronde_now()) ON CONFLICT DO NOTHING`, tenant, agent, version)
	})
}

// Acknowledged implements session.Store.
func (s *Store) Acknowledged(ctx context.Context, tenant, agent string) (version int, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT coalesce(max(version), 0) FROM acknowledgements WHERE tenant = $1 AND agent = $2", tenant, agent).
			QueryRow(func(row pgx.Row) error { return row.Scan(&version) })
	})
	return version, err
}
