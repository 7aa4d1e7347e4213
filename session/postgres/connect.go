package postgres

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
const connectWithin = 5 * time.Second

// connect opens a pool of connections that act as ronde_app. patience is the
// server's own limit for a statement; more is SQL for each new connection.
func connect(ctx context.Context, dsn string, size int, patience time.Duration, more string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	// A lock that is not given within half the patience will not be given
	// within all of it, and this error says what was waited for.
	limits := fmt.Sprintf("SET statement_timeout = %d; SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;",
		patience.Milliseconds(), patience.Milliseconds()/2, 2*patience.Milliseconds())
	c.MaxConns = int32(min(size, 1000))
	c.ConnConfig.ConnectTimeout = connectWithin
	c.PingTimeout = patience
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, connectSQL+limits+more).ReadAll()
		return err
	}
	c.ConnConfig.OnPgError = func(_ *pgconn.PgConn, err *pgconn.PgError) bool { return !parting(err) }
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "ronde"
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, storeError(err)
	}
	return pool, nil
}

// parting reports whether a connection is of no more use after an error: the
// server ends it, or has become a replica while the primary is elsewhere now.
func parting(err *pgconn.PgError) bool {
	return err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC" || err.Code == readOnly
}
