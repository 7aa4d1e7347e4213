package keyring

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed connect.sql
var connectSQL string

// connectWithin bounds the making of one connection.
const connectWithin = 3 * time.Second

// readOnly is PostgreSQL's code for a write on a replica.
const readOnly = "25006"

// connect opens a pool of connections that act as ronde_keys. patience is the
// server's own limit for a statement.
func connect(ctx context.Context, dsn string, patience time.Duration) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	setUp := connectSQL + fmt.Sprintf("SET statement_timeout = %d; SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %[1]d",
		patience.Milliseconds(), patience.Milliseconds()/2)
	c.MaxConns = connections
	c.PingTimeout = patience
	c.ConnConfig.ConnectTimeout = connectWithin
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// The pool would wait for a server that hangs here, with one connection
		// less, for as long as it hangs.
		ctx, cancel := context.WithTimeout(ctx, connectWithin)
		defer cancel()
		_, err := conn.PgConn().Exec(ctx, setUp).ReadAll()
		return err
	}
	// A connection is of no more use once its server ends it, or has become a
	// replica while the primary is elsewhere.
	c.ConnConfig.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.SeverityUnlocalized != "FATAL" && err.SeverityUnlocalized != "PANIC" && err.Code != readOnly
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "ronde keys"
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	if err := pool.Ping(within); err != nil {
		pool.Close()
		return nil, unavailable(err)
	}
	return pool, nil
}
