package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"ronde/session"
)

// TestArguments: the driver reads in the encoded arguments what was put in.
func TestArguments(t *testing.T) {
	one, two := uuid.New(), uuid.New()
	var a arguments
	for name, batch := range map[string][]*session.Submission{
		"several": {
			{Ref: session.Ref{Tenant: "acme", ID: one}, Agent: "badge-1", Pings: make([]session.Ping, 2), Sealed: [][]byte{[]byte("s1"), []byte("s2")}},
			{Ref: session.Ref{Tenant: "ö", ID: two}, Agent: "b", Pings: []session.Ping{{Timestamp: -1}, {Timestamp: 1 << 62}, {}}, Sealed: [][]byte{nil, []byte("s4")}},
			{Ref: session.Ref{Tenant: "acme", ID: two}, Agent: "none"},
		},
		"none at all": {{Ref: session.Ref{Tenant: "acme", ID: one}, Agent: "badge-1"}},
	} {
		a.encode(batch) // twice the same arguments: their memory is used again
		var tenants, agents []string
		var missions []uuid.UUID
		var numbers []int32
		var times []int64
		var sealed [][]byte
		for i, target := range []struct {
			oid uint32
			dst any
		}{
			{pgtype.TextArrayOID, &tenants}, {pgtype.UUIDArrayOID, &missions}, {pgtype.TextArrayOID, &agents},
			{pgtype.Int4ArrayOID, &numbers}, {pgtype.Int8ArrayOID, &times}, {pgtype.ByteaArrayOID, &sealed},
		} {
			if err := pgtype.NewMap().Scan(target.oid, pgtype.BinaryFormatCode, a.values[i], target.dst); err != nil {
				t.Fatalf("%s: argument %d: %v", name, i+1, err)
			}
		}
		k := 0
		for i, sub := range batch {
			if tenants[i] != sub.Tenant || missions[i] != sub.ID || agents[i] != sub.Agent {
				t.Errorf("%s: submission %d became %s %s %s", name, i, tenants[i], missions[i], agents[i])
			}
			for j, p := range sub.Pings {
				var want []byte
				if j < len(sub.Sealed) {
					want = sub.Sealed[j]
				}
				if int(numbers[k]) != i+1 || times[k] != p.Timestamp || !bytes.Equal(sealed[k], want) || (sealed[k] == nil) != (want == nil) {
					t.Errorf("%s: ping %d became %d %d %q", name, k, numbers[k], times[k], sealed[k])
				}
				k++
			}
		}
		if k != len(times) || k != len(sealed) || k != len(numbers) || len(tenants) != len(batch) {
			t.Errorf("%s: %d pings became %d", name, k, len(times))
		}
	}
}

func TestDistribute(t *testing.T) {
	answer, err := pgtype.NewMap().Encode(pgtype.Int2ArrayOID, pgtype.BinaryFormatCode, []int16{1, 4, 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := binary.BigEndian.AppendUint64(nil, 1795255200250)
	batch := []*session.Submission{{Pings: make([]session.Ping, 2)}, {}, {Pings: make([]session.Ping, 1)}}
	if err := distribute([][]byte{now, answer}, batch); err != nil {
		t.Fatal(err)
	}
	want := [][]session.Verdict{{session.Stored, session.OutsideWindow}, {}, {session.TooFrequent}}
	for i, sub := range batch {
		if !reflect.DeepEqual(sub.Verdicts, want[i]) || sub.Now != 1795255200250 {
			t.Errorf("submission %d: %v at %d", i, sub.Verdicts, sub.Now)
		}
	}
	if err := distribute([][]byte{now, nil}, batch[1:2]); err != nil {
		t.Errorf("a batch without pings: %v", err)
	}
	for _, bad := range [][][]byte{{}, {now}, {nil, answer}, {now, nil}, {now, answer[:len(answer)-1]}} {
		if err := distribute(bad, batch); !errors.Is(err, errVerdicts) {
			t.Errorf("answer %v: %v", bad, err)
		}
	}
}
