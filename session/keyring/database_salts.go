package keyring

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// Salt implements session.Keyring. It also returns session.ErrInvalid for a
// tenant or a day that cannot be.
func (d *Database) Salt(ctx context.Context, tenant string, day, today session.Day) ([]byte, error) {
	if err := validateSalt(tenant, day); err != nil {
		return nil, err
	}
	name := saltName(tenant, day)
	sealed, err := d.askSalt(ctx, "SELECT gone, sealed FROM ronde_salt($1, $2)", day.Time(), tenant)
	if err == nil && sealed == nil {
		if day < today {
			return nil, session.ErrGone
		}
		made := d.box.seal(name, newSalt())
		sealed, err = d.askSalt(ctx, "SELECT gone, sealed FROM ronde_make_salt($1, $2, $3)", day.Time(), tenant, made)
	}
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

// askSalt returns the sealed salt that a function gives, nil if there is none,
// session.ErrGone if there never will be.
func (d *Database) askSalt(ctx context.Context, sql string, args ...any) ([]byte, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	var gone bool
	var sealed []byte
	err := d.pool.QueryRow(ctx, sql, args...).Scan(&gone, &sealed)
	if err == nil && gone {
		return nil, session.ErrGone
	}
	return sealed, err
}

// SaltDays implements session.Keyring.
func (d *Database) SaltDays(ctx context.Context) ([]session.Day, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT ronde_salt_days()")
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Day, error) {
		var day time.Time
		err := row.Scan(&day)
		return session.DayOf(day), err
	})
	return days, unavailable(err)
}

// DestroySalts implements session.Keyring. First it records the day, from when
// on Salt gives no earlier one, whatever day its caller takes for today; then
// it drops the days' tables, each in a transaction of its own. If some cannot
// be dropped now the others are, and the error names those; ask again. The day
// that it records is no later than that of a salt that is kept, which Salt is to
// give.
func (d *Database) DestroySalts(ctx context.Context, before session.Day, kept ...session.SaltID) (int, error) {
	if err := validateDay("day", before); err != nil {
		return 0, err
	}
	marked, keep := firstKept(before, kept), keptTenants(kept)
	days, err := d.markDestroyed(ctx, marked)
	if err == nil && marked < before {
		days, err = d.saltTables(ctx)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	count, err := eachDay(ctx, days, func(day session.Day) (int, error) {
		if day >= before {
			return 0, nil
		}
		return d.dropSalts(ctx, day, day >= marked, keep[day])
	})
	return count, unavailable(err)
}

// markDestroyed records that all salts that expired before that day are to go,
// and returns the days of those that are still there.
func (d *Database) markDestroyed(ctx context.Context, before session.Day) ([]string, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT ronde_mark_destroyed($1)", before.Time())
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// dropSalts drops the salts of one day, or all but those of some tenants, and
// returns how many.
func (d *Database) dropSalts(ctx context.Context, day session.Day, some bool, kept []string) (n int, err error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	if some {
		err = d.pool.QueryRow(ctx, "SELECT ronde_drop_other_salts($1, $2)", day.Time(), append([]string{}, kept...)).Scan(&n)
	} else {
		err = d.pool.QueryRow(ctx, "SELECT ronde_drop_salts($1)", day.Time()).Scan(&n)
	}
	return n, err
}

// DestroyTenantSalts implements session.Keyring. It also returns
// session.ErrInvalid for a tenant that cannot be. Each day is a transaction of
// its own.
func (d *Database) DestroyTenantSalts(ctx context.Context, tenant string) (int, error) {
	if err := session.ValidateTenant(tenant); err != nil {
		return 0, err
	}
	days, err := d.saltTables(ctx)
	if err != nil {
		return 0, unavailable(err)
	}
	count, err := eachDay(ctx, days, func(day session.Day) (int, error) { return d.dropTenantSalt(ctx, day, tenant) })
	return count, unavailable(err)
}

// saltTables returns the names of the tables of salts, which are days.
func (d *Database) saltTables(ctx context.Context) ([]string, error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	rows, _ := d.pool.Query(ctx, "SELECT ronde_salt_tables()")
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// dropTenantSalt drops the salt of a tenant and day and returns how many there
// were, which is one at most.
func (d *Database) dropTenantSalt(ctx context.Context, day session.Day, tenant string) (n int, err error) {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	err = d.pool.QueryRow(ctx, "SELECT ronde_drop_tenant_salt($1, $2)", day.Time(), tenant).Scan(&n)
	return n, err
}
