package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// putAccess adds rows to the access log; the database dates them.
const putAccess = `INSERT INTO access_log (id, tenant, role, subject, action, mission, agent, object, why, salt, mac)
	SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::bytea[], $11::bytea[])`

// accessColumns are those of a session.Access, in the order of intoAccess.
const accessColumns = "id, at, tenant, role, subject, action, mission, agent, object, why"

// LogAccess implements session.Store.
func (s *Store) LogAccess(ctx context.Context, batch []session.Access) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, putAccess, accessArguments(batch)...)
	return storeError(err)
}

// accessArguments returns the arguments of putAccess, and sets missing ids. A row
// that nobody authenticated gets a salt all the same.
func accessArguments(batch []session.Access) []any {
	n := len(batch)
	salts := make([]byte, n*session.AccessSaltSize)
	_, _ = rand.Read(salts) // never fails: it aborts the process instead
	var ids, subjects, missions, objects = make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	var tenants, roles, actions, agents, whys = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	salt, macs := make([][]byte, n), make([][]byte, n)
	for i := range batch {
		a := &batch[i]
		if a.ID == uuid.Nil {
			a.ID = session.NewID()
		}
		ids[i], subjects[i], missions[i], objects[i] = a.ID, a.Subject, a.Mission, a.Object
		tenants[i], roles[i], actions[i], agents[i], whys[i] = a.Tenant, string(a.Role), string(a.Action), a.Agent, a.Why
		salt[i], macs[i] = a.Salt, a.MAC
		if salt[i] == nil {
			salt[i] = salts[i*session.AccessSaltSize:][:session.AccessSaltSize]
		}
		if macs[i] == nil {
			macs[i] = []byte{}
		}
	}
	return []any{ids, tenants, roles, subjects, actions, missions, agents, objects, whys, salt, macs}
}

// AccessLog implements session.Store.
func (s *Store) AccessLog(ctx context.Context, tenant string, f session.AccessFilter, after uuid.UUID, limit int) (list []session.LoggedAccess, err error) {
	sql, args := selectAccess(tenant, &f, after, limit)
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.LoggedAccess, error) {
				var a session.LoggedAccess
				err := row.Scan(append(intoAccess(&a.Access), &a.Leaf)...)
				a.At = session.Millis(a.At)
				return a, err
			})
			return err
		})
	})
	return list, err
}

func intoAccess(a *session.Access) []any {
	return []any{&a.ID, &a.At, &a.Tenant, &a.Role, &a.Subject, &a.Action, &a.Mission, &a.Agent, &a.Object, &a.Why}
}

// selectAccess returns the query for one page of what f selects. It names only
// what f asks for, so that each of its few forms has a plan of its own.
func selectAccess(tenant string, f *session.AccessFilter, after uuid.UUID, limit int) (sql string, args []any) {
	var b strings.Builder
	and := func(condition string, value any) {
		args = append(args, value)
		fmt.Fprintf(&b, condition, fmt.Sprintf("$%d", len(args)))
	}
	beyond, order := ">", ""
	if f.Newest {
		beyond, order = "<", " DESC"
	}
	and("SELECT "+accessColumns+", coalesce(leaf, -1) FROM access_log WHERE tenant = %s", tenant)
	if after != uuid.Nil {
		and(" AND id "+beyond+" %s", after)
	}
	if f.Mission != uuid.Nil {
		and(" AND mission = %s", f.Mission)
	}
	if f.Agent != "" {
		and(" AND agent = %s", f.Agent)
	}
	if len(f.Actions) > 0 {
		and(" AND action = ANY (%s)", f.Actions)
	}
	if !f.From.IsZero() {
		and(" AND at >= %s", f.From)
	}
	if !f.To.IsZero() {
		and(" AND at < %s", f.To)
	}
	and(" ORDER BY id"+order+" LIMIT %s", limit)
	return b.String(), args
}
