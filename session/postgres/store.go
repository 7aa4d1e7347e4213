// Package postgres keeps missions and positions in PostgreSQL, version 15 or
// later: a session.Store that many nodes share.
//
// # Who may do what
//
// Migrate makes three roles that nobody can log in as. ronde_owner owns the
// tables. ronde_app is what every pooled connection becomes, whoever logs in:
// it sees the rows of one tenant at a time (row-level security, forced) and
// cannot insert or change a position. ronde_judge owns the functions that must
// look across tenants; the most important is ronde_append, the only way into
// the table of positions, and the reasons for its shape are told beside it.
//
// # Connections
//
// Appending has a small pool of its own, so that no number of readers keeps a
// ping waiting. Statements are cut off by the server after Options.Patience;
// the client waits a little longer and then drops the connection, which only
// happens when the server is frozen or gone. A caller that gives up early
// leaves its statement to finish: dropping the connection would cost more.
package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ronde/session"
)

// Store is a session.Store in a PostgreSQL database. It is safe for many
// goroutines, and for many nodes at once.
type Store struct {
	writers *pgxpool.Pool // Append alone
	pool    *pgxpool.Pool // everything else
	// limit is how long a call waits at most, whatever happens to the server.
	limit time.Duration
}

var _ session.Store = (*Store)(nil)

// Options are the settings of a Store. The zero Options are those of a node in
// production.
type Options struct {
	Writers  int           // connections for appending; 0: 4
	Readers  int           // connections for everything else; 0: 16
	Patience time.Duration // until the server cuts a statement off; 0: 4 s
}

func (o Options) withDefaults() Options {
	if o.Writers <= 0 {
		o.Writers = 4
	}
	if o.Readers <= 0 {
		o.Readers = 16
	}
	if o.Patience <= 0 {
		o.Patience = 4 * time.Second
	}
	return o
}

// grace is how much longer than the server the client waits.
const grace = time.Second

// Open returns a Store in the database that dsn names. The login must be a
// superuser or a member of ronde_app. It returns *SchemaError for a database
// whose schema is not that of this program, and session.ErrUnavailable for one
// that cannot be reached.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	o = o.withDefaults()
	found, err := Version(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if found != SchemaVersion {
		return nil, &SchemaError{Found: found}
	}
	s := &Store{limit: o.Patience + grace}
	// The judging function is planned once a connection and for any batch. A
	// plan of its own for every batch would take longer than the batch, and one
	// made while a table was still small must not scan it once it is large.
	s.writers, err = connect(ctx, dsn, o.Writers, o.Patience,
		"SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
	if err != nil {
		return nil, err
	}
	s.pool, err = connect(ctx, dsn, o.Readers, o.Patience, "")
	if err != nil {
		s.writers.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connections, waiting for calls in progress.
func (s *Store) Close() error {
	s.writers.Close()
	s.pool.Close()
	return nil
}

// Now returns the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var now time.Time
	err := s.pool.QueryRow(ctx, "SELECT ronde_now()").Scan(&now)
	return session.Millis(now), storeError(err)
}

// bound returns the context of one call: it ends at the store's limit, or at
// the deadline of ctx if that is sooner, but not when ctx is merely cancelled,
// because to interrupt a statement is to lose its connection.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return ctx, func() {} // nothing has been started that could be lost
	}
	end := time.Now().Add(s.limit)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

// setTenant names the tenant whose rows the rest of the transaction sees.
const setTenant = "SELECT set_config('ronde.tenant', $1, true)"

// inTenant runs the queued statements as one transaction in one round trip.
// They see the rows of that tenant only.
func (s *Store) inTenant(ctx context.Context, tenant string, queue func(b *pgx.Batch)) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return sendInTenant(ctx, s.pool, tenant, queue)
}

// sender is a pool or a transaction.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

func sendInTenant(ctx context.Context, to sender, tenant string, queue func(b *pgx.Batch)) error {
	var b pgx.Batch
	b.Queue(setTenant, tenant)
	queue(&b)
	return storeError(to.SendBatch(ctx, &b).Close())
}

// SchemaError says that a database has another schema than SchemaVersion.
type SchemaError struct {
	Found int64 // 0: none at all
}

func (e *SchemaError) Error() string {
	if e.Found > SchemaVersion {
		return fmt.Sprintf("the database has schema version %d and this ronde knows version %d: run a newer ronde (an older one cannot undo what its `ronde migrate` did)", e.Found, SchemaVersion)
	}
	return fmt.Sprintf("the database has schema version %d and this ronde needs version %d: run `ronde migrate`", e.Found, SchemaVersion)
}
