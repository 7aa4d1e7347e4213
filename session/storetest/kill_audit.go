package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// killKeyring stands for the keyring of the installation that is killed.
var killKeyring = uuid.MustParse("01a212f5-db89-7731-9181-9f0d1c77a56c")

// signer returns that of the errand's installation.
func (e errand) signer() (*session.AccessSigner, error) {
	root, err := session.ParseRootSecret(e.Root)
	if err != nil {
		return nil, err
	}
	return session.NewAccessSigner(root, killKeyring)
}

// record adds rows to the access log, lets its tree grow by them, and prints how
// many are signed.
func (e errand) record(ctx context.Context, store session.Store) error {
	signer, err := e.signer()
	if err != nil {
		return err
	}
	root, err := session.ParseRootSecret(e.Root)
	if err != nil {
		return err
	}
	key, err := session.NewAccessKey(root)
	if err != nil {
		return err
	}
	store = key.Store(store)
	random := mathrand.New(mathrand.NewPCG(e.Seed, 0))
	for signed := 0; ; {
		batch := make([]session.Access, 1+random.IntN(20))
		for i := range batch {
			batch[i] = session.Access{Tenant: e.Tenant, Action: session.AccessTrackRead}
		}
		if err := store.LogAccess(ctx, batch); err != nil {
			return err
		}
		if _, _, err := session.GrowAccessTree(ctx, store, signer); err != nil {
			return err
		}
		signed += len(batch)
		if _, err := fmt.Println(signed); err != nil {
			return err
		}
	}
}

// KillAudit kills a process again and again while it records and signs. What it
// said is signed must be there, no number given twice or left out, and the log
// sound. TestMain of the package must have called Victim.
func KillAudit(t *testing.T, k Killing) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	total, pending := 0, 0
	for round := range k.Rounds {
		w := &auditWorld{world: newWorld(t, k.Open(t))}
		w.ok(w.world.Store.Close())
		e := errand{Source: k.Source, Tenant: w.tenant, Seed: uint64(round), Root: hex.EncodeToString(secret)}
		acknowledged := k.strike(t, self, e)

		w.world.Fixture = k.Open(t)
		w.clock(time.Time{})
		w.signer, err = e.signer()
		w.ok(err)
		w.numbered(w.size())
		if n := w.size() - total; n < acknowledged {
			t.Errorf("%d rows are signed, and %d were said to be", n, acknowledged)
		}
		grown, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer)
		w.ok(err)
		total, pending = w.size(), pending+grown
		w.numbered(total)
		w.now = time.Now()
		w.sound(int64(total))
		w.ok(w.world.Store.Close())
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("killed %d times: %d rows, each with a leaf of its own; %d of them had none when it was killed", k.Rounds, total, pending)
}

// size returns how many leaves the tree has.
func (w *auditWorld) size() int {
	w.Helper()
	st, err := w.world.Store.AccessState(w.Context())
	w.ok(err)
	return int(st.Size)
}
