package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"ronde/session"
)

// callAppend takes a batch as columns: see arguments.
const callAppend = "SELECT now_ms, verdicts FROM ronde_append($1, $2, $3, $4, $5, $6)"

// inBinary is the format of every argument and result of callAppend.
var inBinary = []int16{1}

// argumentsPool keeps the memory of batches, of some 150 bytes a ping.
var argumentsPool = sync.Pool{New: func() any { return new(arguments) }}

// Append implements session.Store.
func (s *Store) Append(ctx context.Context, batch []*session.Submission) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, byTrack)
	err := s.judge(ctx, sorted)
	if noPartition(err) {
		err = s.appendAround(ctx, sorted)
	}
	return storeError(err)
}

// byTrack orders submissions by mission and agent: two batches that bring the
// same pings then meet in one order, and rows of one track go to one place of
// the index. What one agent sent stays in the order it came.
func byTrack(a, b *session.Submission) int {
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Agent, b.Agent))
}

// judge has the database judge and store a batch, in one call.
func (s *Store) judge(ctx context.Context, batch []*session.Submission) error {
	a := argumentsPool.Get().(*arguments)
	defer argumentsPool.Put(a)
	a.encode(batch)
	for n := 1; ; n++ {
		err := s.call(ctx, a, batch)
		if !again(err) || n == attempts {
			return err
		}
	}
}

// call does without the conveniences of the driver, which would take longer to
// encode a ping than the database takes to read it.
func (s *Store) call(ctx context.Context, a *arguments, batch []*session.Submission) error {
	conn, err := s.writers.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	statement, err := conn.Conn().Prepare(ctx, callAppend, callAppend) // once a connection
	if err != nil {
		return err
	}
	result := conn.Conn().PgConn().ExecStatement(ctx, statement, a.values[:], inBinary, inBinary)
	if result.NextRow() {
		err = distribute(result.Values(), batch)
	}
	if _, failed := result.Close(); failed != nil {
		return failed
	}
	return err
}

// makePartitions makes the partitions that the missions of a batch need, but
// for days that have passed.
const makePartitions = `SELECT ronde_partition(d.day) FROM (
	SELECT DISTINCT expires_on AS day FROM ronde_changed($1, $2, $3)
	WHERE track AND expires_on >= (ronde_now() AT TIME ZONE 'UTC')::date) d`

// appendAround appends a batch in which a mission's partition is missing. That
// should not happen, because the begin of the mission made it; it does if the
// partition was dropped or not restored. It is made again, and if its day has
// passed then the others' pings are stored all the same: those of the mission
// itself are left Undecided, which tells the phones to keep them.
func (s *Store) appendAround(ctx context.Context, batch []*session.Submission) error {
	tenants, missions := make([]string, len(batch)), make([]uuid.UUID, len(batch))
	for i, sub := range batch {
		tenants[i], missions[i] = sub.Tenant, sub.ID
	}
	none := make([]int64, len(batch)) // the revision of no mission: all are asked for
	if _, err := s.pool.Exec(ctx, makePartitions, tenants, missions, none); err != nil {
		return err
	}
	return s.appendHalves(ctx, batch)
}

func (s *Store) appendHalves(ctx context.Context, batch []*session.Submission) error {
	err := s.judge(ctx, batch)
	if !noPartition(err) {
		return err
	}
	if len(batch) == 1 {
		now, err := s.Now(ctx)
		batch[0].Now, batch[0].Verdicts = now.UnixMilli(), make([]session.Verdict, len(batch[0].Pings))
		return err
	}
	half := len(batch) / 2
	if err := s.appendHalves(ctx, batch[:half]); err != nil {
		return err
	}
	return s.appendHalves(ctx, batch[half:])
}
