package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"github.com/google/uuid"
)

// AccessMACSize is the size of a row's MAC, in bytes.
const AccessMACSize = 16

// AccessKey authenticates rows of the access log. It follows from the root secret,
// which the database does not have: whoever can write to the database alone can
// make no row that passes for one of Ronde's.
type AccessKey struct{ key []byte }

// NewAccessKey returns the key of an installation. It fails on the zero RootSecret
// alone.
func NewAccessKey(root RootSecret) (AccessKey, error) {
	key, err := root.Derive(nil, "ronde access log v1: rows")
	return AccessKey{key}, err
}

// Authenticate gives a row that is about to be recorded its ID, if it has none, a
// salt and the MAC over all that it says but for the time, which the store knows.
func (k AccessKey) Authenticate(a *Access) {
	if a.ID == uuid.Nil {
		a.ID = NewID()
	}
	a.Salt = make([]byte, AccessSaltSize)
	_, _ = rand.Read(a.Salt) // never fails: it aborts the process instead
	a.MAC = k.mac(a)
}

// Authentic reports whether a row is as it was given to Authenticate under this key.
func (k AccessKey) Authentic(a *Access) bool { return hmac.Equal(a.MAC, k.mac(a)) }

// mac returns HMAC-SHA-256 over the row's form without time and MAC, cut to
// AccessMACSize.
func (k AccessKey) mac(a *Access) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write(a.appendSaid([]byte{accessForm}))
	return h.Sum(nil)[:AccessMACSize]
}

// Store returns store with every row of the access log that goes through it
// authenticated, so that nobody who records can forget to.
func (k AccessKey) Store(store Store) Store { return authenticating{store, k} }

type authenticating struct {
	Store
	key AccessKey
}

func (s authenticating) LogAccess(ctx context.Context, batch []Access) error {
	for i := range batch {
		s.key.Authenticate(&batch[i])
	}
	return s.Store.LogAccess(ctx, batch)
}

func (s authenticating) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *Mission) error) (*Mission, error) {
	return s.Store.UpdateMission(ctx, tenant, id, func(m *Mission) error {
		if err := change(m); err != nil {
			return err
		}
		s.logged(m)
		return nil
	})
}

func (s authenticating) UpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *HoldChange) error) (Hold, error) {
	return s.Store.UpdateHold(ctx, tenant, mission, agent, func(c *HoldChange) error {
		if err := change(c); err != nil {
			return err
		}
		s.logged(c.Mission)
		return nil
	})
}

// logged authenticates what a change of m adds to the log.
func (s authenticating) logged(m *Mission) {
	for i := range m.Log {
		m.Log[i].Tenant, m.Log[i].Mission = m.Tenant, m.ID
		s.key.Authenticate(&m.Log[i])
	}
}
