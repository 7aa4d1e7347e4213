package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"ronde/session"
)

// Database is a keyring in a PostgreSQL database. It is safe for many
// goroutines and for many nodes, and keeps no secret in memory but the key that
// the root secret gives.
//
// Every call ends within a few seconds, whatever happens to the server.
type Database struct {
	pool *pgxpool.Pool
	box  *box
	id   uuid.UUID
	// limit is how long one statement is waited for at most.
	limit time.Duration
}

var _ session.Keyring = (*Database)(nil)

// Patience is how long PostgreSQL works on a statement before it cuts it off,
// unless OpenDatabase is told otherwise. Some of the callers are phones.
const Patience = 2 * time.Second

const (
	// grace is how much longer than the server the client waits.
	grace = time.Second
	// connections is enough: nodes remember what they ask for.
	connections = 4
)

// OpenDatabase opens the keyring in the database that dsn names, and makes it
// if Migrate has just laid out an empty one. The login must be a superuser or a
// member of ronde_keys. A patience of 0 is Patience.
//
// The error is ErrWrongRoot if the keyring was made under another root secret,
// *SchemaError if the schema is not that of this program, and
// session.ErrUnavailable if the database cannot answer.
func OpenDatabase(ctx context.Context, dsn string, root session.RootSecret, patience time.Duration) (*Database, error) {
	if patience <= 0 {
		patience = Patience
	}
	d := &Database{limit: patience + grace}
	var err error
	if d.box, err = newBox(root); err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	found, err := Version(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if found != SchemaVersion {
		return nil, &SchemaError{Found: found}
	}
	if d.pool, err = connect(ctx, dsn, patience); err != nil {
		return nil, err
	}
	if err := d.identify(ctx); err != nil {
		d.pool.Close()
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	return d, nil
}

// identify reads who the keyring is, or makes that of a new one. Of several
// nodes that do so at once, all read what the first has made.
func (d *Database) identify(ctx context.Context) error {
	ctx, cancel := d.bound(ctx)
	defer cancel()
	id := session.NewID()
	_, err := d.pool.Exec(ctx, "INSERT INTO keyring (sealed) VALUES ($1) ON CONFLICT DO NOTHING", d.box.seal(identityName, id[:]))
	if err != nil {
		return unavailable(err)
	}
	var sealed []byte
	if err := d.pool.QueryRow(ctx, "SELECT sealed FROM keyring").Scan(&sealed); err != nil {
		return unavailable(err)
	}
	content, err := d.box.open(identityName, sealed)
	if err != nil {
		return err
	}
	d.id, err = parseIdentity(content)
	return err
}

// ID returns the identity that the keyring was given when it was made: see
// Folder.ID.
func (d *Database) ID() uuid.UUID { return d.id }

// Close closes the connections, waiting for calls in progress. Calls that come
// later return session.ErrUnavailable.
func (d *Database) Close() error {
	d.pool.Close()
	return nil
}

// bound returns the context of one statement: it ends at the keyring's limit,
// or at the deadline of ctx if that is sooner, but not when ctx is merely
// cancelled, because to interrupt a statement is to lose its connection.
func (d *Database) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return ctx, func() {} // nothing has been started that could be lost
	}
	end := time.Now().Add(d.limit)
	if asked, ok := ctx.Deadline(); ok && asked.Before(end) {
		end = asked
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
