package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"

	"github.com/google/uuid"

	"ronde/session"
)

// accessColumns are those of a session.Access, in the order of intoAccess.
const accessColumns = "id, at, tenant, role, subject, action, mission, agent, object, why"

// LogAccess adds rows to the access log, all of them or none.
func (s *Store) LogAccess(ctx context.Context, batch []session.Access) error {
	if len(batch) == 0 {
		return nil
	}
	return s.write(ctx, func(t *tx) error { return t.logAccess(batch) })
}

func (t *tx) logAccess(batch []session.Access) error {
	for i := range batch {
		a := &batch[i]
		if a.ID == uuid.Nil {
			a.ID = session.NewID()
		}
		salt, mac := a.Salt, a.MAC
		if salt == nil { // of a row that nobody authenticated
			salt, mac = make([]byte, session.AccessSaltSize), []byte{}
			_, _ = rand.Read(salt) // never fails: it aborts the process instead
		}
		_, err := t.exec("INSERT INTO access_log ("+accessColumns+", salt, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			a.ID, t.now, a.Tenant, string(a.Role), a.Subject, string(a.Action), a.Mission, a.Agent, a.Object, a.Why, salt, mac)
		if err != nil {
			return err
		}
	}
	return nil
}

// AccessLog lists the rows of a tenant that f selects, in the order of their
// ids.
func (s *Store) AccessLog(ctx context.Context, tenant string, f session.AccessFilter, after uuid.UUID, limit int) (list []session.LoggedAccess, err error) {
	where, args, err := accessSelection(tenant, &f, after)
	if err != nil {
		return nil, err
	}
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var a session.LoggedAccess
			err := row.Scan(&a.ID, asTime{&a.At}, &a.Tenant, &a.Role, &a.Subject, &a.Action, &a.Mission, &a.Agent, &a.Object, &a.Why, &a.Leaf)
			list = append(list, a)
			return err
		}, "SELECT "+accessColumns+", coalesce(leaf, -1) FROM access_log WHERE "+where+" LIMIT ?", append(args, limit)...)
	})
	return list, err
}

// accessSelection returns the condition and order of what f selects, with its
// arguments.
func accessSelection(tenant string, f *session.AccessFilter, after uuid.UUID) (where string, args []any, err error) {
	where = "tenant = ? AND tenant <> ''" // what concerns the installation is no tenant's to read
	and := func(condition string, value any) { where, args = where+" AND "+condition, append(args, value) }
	args = append(args, tenant)
	beyond, order := "id > ?", " ORDER BY id"
	if f.Newest {
		beyond, order = "id < ?", " ORDER BY id DESC"
	}
	if after != uuid.Nil {
		and(beyond, after)
	}
	if f.Mission != uuid.Nil {
		and("mission = ?", f.Mission)
	}
	if f.Agent != "" {
		and("agent = ?", f.Agent)
	}
	if len(f.Actions) > 0 {
		actions, err := json.Marshal(f.Actions)
		if err != nil {
			return "", nil, err
		}
		and("action IN (SELECT value FROM json_each(?))", string(actions))
	}
	if !f.From.IsZero() {
		and("at >= ?", f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		and("at < ?", f.To.UnixMilli())
	}
	return where + order, args, nil
}
