package sqlite

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"ronde/session"
)

// EnsureTenant makes the tenant if there is none of that name.
func (s *Store) EnsureTenant(ctx context.Context, tenant string) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.spare(tenant); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO tenants (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", tenant, t.now)
		return err
	})
}

// CreateAPIKey stores a key of an existing tenant.
func (s *Store) CreateAPIKey(ctx context.Context, k session.APIKey) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.spare(k.Tenant); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO api_keys (id, tenant, role, label, hash, created_at, revoked_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.Tenant, string(k.Role), k.Label, k.Hash, k.CreatedAt.UnixMilli(), millis(k.RevokedAt))
		return err
	})
}

const keyColumns = "id, tenant, role, label, hash, created_at, revoked_at"

func intoKey(k *session.APIKey) []any {
	return []any{&k.ID, &k.Tenant, &k.Role, &k.Label, &k.Hash, asTime{&k.CreatedAt}, asTime{&k.RevokedAt}}
}

// APIKey returns the key of that id, revoked or not, of whichever tenant.
func (s *Store) APIKey(ctx context.Context, id uuid.UUID) (k session.APIKey, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.one(intoKey(&k), "SELECT "+keyColumns+" FROM api_keys WHERE id = ?", id)
	})
	return k, err
}

// APIKeys lists a tenant's keys, oldest first.
func (s *Store) APIKeys(ctx context.Context, tenant string) (keys []session.APIKey, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var k session.APIKey
			err := row.Scan(intoKey(&k)...)
			keys = append(keys, k)
			return err
		}, "SELECT "+keyColumns+" FROM api_keys WHERE tenant = ? ORDER BY created_at, id", tenant)
	})
	return keys, err
}

// RevokeAPIKey revokes a key; repeating it is harmless.
func (s *Store) RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE tenant = ? AND id = ?", t.now, tenant, id)
		if err == nil && n == 0 {
			return session.ErrNotFound
		}
		return err
	})
}

const noticeColumns = "version, published_at, text, controller, purpose, legal_basis, recipients, retention, rights"

func intoNotice(n *session.Notice) []any {
	return []any{&n.Version, asTime{&n.PublishedAt}, &n.Text, &n.Controller, &n.Purpose, &n.LegalBasis, &n.Recipients, &n.Retention, &n.Rights}
}

// Notice returns the tenant's latest privacy notice.
func (s *Store) Notice(ctx context.Context, tenant string) (n session.Notice, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.one(intoNotice(&n), "SELECT "+noticeColumns+" FROM notices WHERE tenant = ? ORDER BY version DESC LIMIT 1", tenant)
	})
	return n, err
}

// PublishNotice stores n under the next version and returns it.
func (s *Store) PublishNotice(ctx context.Context, tenant string, n session.Notice) (session.Notice, error) {
	err := s.write(ctx, func(t *tx) error {
		return queryer(t.query).one(intoNotice(&n), `INSERT INTO notices (tenant, `+noticeColumns+`)
			VALUES (?1, coalesce((SELECT max(version) FROM notices WHERE tenant = ?1), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
			RETURNING `+noticeColumns,
			tenant, t.now, n.Text, n.Controller, n.Purpose, n.LegalBasis, n.Recipients, n.Retention, n.Rights)
	})
	if err != nil {
		return session.Notice{}, err
	}
	return n, nil
}

// Acknowledge records that the agent acknowledged that version of the notice.
// Every version keeps the time of its first acknowledgement.
func (s *Store) Acknowledge(ctx context.Context, tenant, agent string, version int) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO acknowledgements (tenant, agent, version, acknowledged_at)
			VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, tenant, agent, version, t.now)
		return err
	})
}

// Acknowledged returns the newest version that the agent acknowledged, 0 for
// none.
func (s *Store) Acknowledged(ctx context.Context, tenant, agent string) (version int, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.one([]any{&version},
			"SELECT coalesce(max(version), 0) FROM acknowledgements WHERE tenant = ? AND agent = ?", tenant, agent)
	})
	return version, err
}
