package postgres

import (
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"

	"ronde/session"
)

// arguments are those of ronde_append in the binary form of the protocol: a
// batch as columns, three a submission and three a ping. The form of an array
// is that of PostgreSQL's array_send: a header, then each element after its
// length.
type arguments struct {
	values [6][]byte
	buffer []byte // what values are pieces of
}

// arrayHeader is the size of an array's header: dimensions, whether there are
// nulls, the type of the elements, how many, and the number of the first.
const arrayHeader = 20

// encode fills a with the batch.
func (a *arguments) encode(batch []*session.Submission) {
	pings := 0
	for _, sub := range batch {
		pings += len(sub.Pings)
	}
	a.buffer = a.buffer[:0]
	var ends [len(a.values)]int
	column := func(i int, element uint32, n int, each func(sub *session.Submission, i int)) {
		a.header(element, n)
		for i, sub := range batch {
			each(sub, i)
		}
		ends[i] = len(a.buffer)
	}
	column(0, pgtype.TextOID, len(batch), func(sub *session.Submission, _ int) { a.text(sub.Tenant) })
	column(1, pgtype.UUIDOID, len(batch), func(sub *session.Submission, _ int) { a.bytes(sub.ID[:]) })
	column(2, pgtype.TextOID, len(batch), func(sub *session.Submission, _ int) { a.text(sub.Agent) })
	column(3, pgtype.Int4OID, pings, func(sub *session.Submission, i int) {
		for range sub.Pings {
			a.size(4)
			a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(i+1))
		}
	})
	column(4, pgtype.Int8OID, pings, func(sub *session.Submission, _ int) {
		for k := range sub.Pings {
			a.size(8)
			a.buffer = binary.BigEndian.AppendUint64(a.buffer, uint64(sub.Pings[k].Timestamp))
		}
	})
	column(5, pgtype.ByteaOID, pings, func(sub *session.Submission, _ int) {
		for k := range sub.Pings {
			if k < len(sub.Sealed) && len(sub.Sealed[k]) > 0 {
				a.bytes(sub.Sealed[k])
			} else {
				a.size(-1) // null: unsealed
			}
		}
	})
	from := 0
	for i, end := range ends {
		a.values[i] = a.buffer[from:end:end]
		from = end
	}
}

func (a *arguments) header(element uint32, n int) {
	dimensions := uint32(1)
	if n == 0 {
		dimensions = 0 // an array of nothing has none, and ends here
	}
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, dimensions)
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, 1) // there may be nulls
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, element)
	if n > 0 {
		a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(n))
		a.buffer = binary.BigEndian.AppendUint32(a.buffer, 1)
	}
}

func (a *arguments) size(n int32) { a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(n)) }

func (a *arguments) bytes(b []byte) {
	a.size(int32(len(b)))
	a.buffer = append(a.buffer, b...)
}

func (a *arguments) text(s string) {
	a.size(int32(len(s)))
	a.buffer = append(a.buffer, s...)
}

var errVerdicts = errors.New("the judging function's answer does not fit the batch")

// distribute hands the answer of ronde_append, the clock and an array of
// int2, to the submissions.
func distribute(row [][]byte, batch []*session.Submission) error {
	pings := 0
	for _, sub := range batch {
		pings += len(sub.Pings)
	}
	const element = 4 + 2 // its length, and itself
	if len(row) != 2 || len(row[0]) != 8 || pings > 0 && len(row[1]) != arrayHeader+pings*element {
		return errVerdicts
	}
	now, all := int64(binary.BigEndian.Uint64(row[0])), make([]session.Verdict, pings)
	for i := range all {
		all[i] = session.Verdict(binary.BigEndian.Uint16(row[1][arrayHeader+i*element+4:]))
	}
	for _, sub := range batch {
		n := len(sub.Pings)
		sub.Now, sub.Verdicts = now, all[:n:n]
		all = all[n:]
	}
	return nil
}
