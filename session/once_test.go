package session_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/session/sqlite"
)

// spied tells which receipt its store found last.
type spied struct {
	session.Store
	found []byte
}

func (s *spied) Receipt(ctx context.Context, tenant string, id session.ReceiptID) ([]byte, error) {
	sealed, err := s.Store.Receipt(ctx, tenant, id)
	if err == nil {
		s.found = sealed
	}
	return sealed, err
}

// stuck is a store in which every receipt is the same one.
type stuck struct {
	session.Store
	sealed []byte
}

func (s *stuck) Receipt(context.Context, string, session.ReceiptID) ([]byte, error) {
	return s.sealed, nil
}

// TestReceipts: a receipt says its answer to the one request it is of, shows
// nothing to whoever reads the database, and cannot be put in another's place.
func TestReceipts(t *testing.T) {
	ctx := t.Context()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "ronde.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	store := &spied{Store: db}
	s := &session.Service{Store: store, Sealer: session.NewSealer(session.NewRootSecret(), nil)}
	m := &session.Mission{ID: session.NewID(), Tenant: "acme", State: session.Scheduled, Policy: session.DefaultPolicy()}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(db.EnsureTenant(ctx, "acme"))
	ok(db.CreateMission(ctx, m))

	caller := &session.Principal{Role: session.Platform, Tenant: "acme", Subject: session.NewID()}
	once := func(p *session.Principal, operation, key, body string) *session.Once {
		t.Helper()
		o, err := s.Once(p, operation, key, []byte(body))
		ok(err)
		return o
	}
	const answer = `{"token":"canary"}`
	create := func(o *session.Once, text string) error {
		return s.Create(ctx, session.Creation{Ref: session.Ref{Tenant: "acme", ID: m.ID}}, o, func() ([]byte, error) { return []byte(text), nil })
	}
	ok(create(once(caller, "POST /x", "key", "body"), answer))
	if got, err := s.Answered(ctx, once(caller, "POST /x", "key", "body")); string(got) != answer || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	if err := create(once(caller, "POST /x", "key", "body"), "another"); !errors.Is(err, session.ErrRepeated) {
		t.Errorf("the same again: %v", err)
	}
	stored := store.found
	for _, hidden := range []string{"canary", "body", "token"} {
		if bytes.Contains(stored, []byte(hidden)) {
			t.Errorf("the receipt shows %s", hidden)
		}
	}
	if _, err := s.Answered(ctx, once(caller, "POST /x", "key", "bodY")); !errors.Is(err, session.ErrKeyReused) {
		t.Errorf("with another body: %v", err)
	}

	other := *caller
	other.Subject = uuid.UUID{1}
	foreign := *caller
	foreign.Tenant = "globex"
	ok(db.EnsureTenant(ctx, "globex"))
	for name, o := range map[string]*session.Once{
		"another API key": once(&other, "POST /x", "key", "body"), "another tenant": once(&foreign, "POST /x", "key", "body"),
		"another operation": once(caller, "POST /xk", "ey", "body"), "another key": once(caller, "POST /x", "kez", "body"),
	} {
		if got, err := s.Answered(ctx, o); got != nil || err != nil {
			t.Errorf("%s is answered %q, %v", name, got, err)
		}
		// The receipt of the first in the place of this one's.
		swapped := &session.Service{Store: &stuck{sealed: stored}, Sealer: s.Sealer}
		if got, err := swapped.Answered(ctx, o); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%s reads a receipt that is not its own: %q, %v", name, got, err)
		}
	}
	for i := range stored {
		flipped := bytes.Clone(stored)
		flipped[i] ^= 1
		damaged := &session.Service{Store: &stuck{sealed: flipped}, Sealer: s.Sealer}
		if got, err := damaged.Answered(ctx, once(caller, "POST /x", "key", "body")); !errors.Is(err, session.ErrUnreadable) {
			t.Fatalf("byte %d flipped: %q, %v", i, got, err)
		}
	}
	if _, err := (&session.Service{Store: &stuck{sealed: stored[:1]}, Sealer: s.Sealer}).Answered(ctx, once(caller, "POST /x", "key", "body")); !errors.Is(err, session.ErrUnreadable) {
		t.Errorf("cut short: %v", err)
	}
}
