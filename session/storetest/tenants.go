package storetest

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

func testNow(w *world) {
	w.clock(start.Add(1234567 * time.Microsecond)) // more exact than the domain
	now, err := w.Store.Now(w.Context())
	w.ok(err)
	if want := start.Add(1234 * time.Millisecond); !now.Equal(want) || now.Location() != time.UTC {
		w.Errorf("Now is %v, want %v", now, want)
	}
	w.clock(time.Time{})
	now, err = w.Store.Now(w.Context())
	w.ok(err)
	if d := time.Since(now).Abs(); d > time.Hour {
		w.Errorf("the store's real clock is %v away from this process's", d)
	}
}

func testTenants(w *world) {
	w.ok(w.Store.EnsureTenant(w.Context(), w.tenant)) // newWorld has made it
	m := w.plan("badge-1")
	m.Tenant = "t-" + uuid.NewString()
	w.is(w.Store.CreateMission(w.Context(), m), session.ErrNotFound, "mission of a missing tenant")
	w.is(w.Store.CreateAPIKey(w.Context(), w.key(m.Tenant)), session.ErrNotFound, "key of a missing tenant")
	_, err := w.Store.PublishNotice(w.Context(), m.Tenant, session.Notice{Text: "text"})
	w.is(err, session.ErrNotFound, "notice of a missing tenant")
}

func (w *world) key(tenant string) session.APIKey {
	id := session.NewID()
	hash := sha256.Sum256(id[:])
	return session.APIKey{ID: id, Tenant: tenant, Role: session.Platform, Label: "back end", Hash: hash[:], CreatedAt: w.now}
}

func testAPIKeys(w *world) {
	var made []session.APIKey
	for i, role := range []session.Role{session.Platform, session.Operator, session.Auditor} {
		w.at(time.Duration(i) * time.Second)
		k := w.key(w.tenant)
		k.Role = role
		w.ok(w.Store.CreateAPIKey(w.Context(), k))
		made = append(made, k)
	}
	w.is(w.Store.CreateAPIKey(w.Context(), made[0]), session.ErrExists, "the same key again")

	for _, k := range made {
		got, err := w.Store.APIKey(w.Context(), k.ID)
		w.ok(err)
		sameKey(w, got, k)
	}
	list, err := w.Store.APIKeys(w.Context(), w.tenant)
	w.ok(err)
	if len(list) != len(made) {
		w.Fatalf("%d keys listed, want %d", len(list), len(made))
	}
	for i := range made {
		sameKey(w, list[i], made[i])
	}

	w.at(time.Minute)
	w.ok(w.Store.RevokeAPIKey(w.Context(), w.tenant, made[1].ID))
	w.at(time.Hour)
	w.ok(w.Store.RevokeAPIKey(w.Context(), w.tenant, made[1].ID))
	got, err := w.Store.APIKey(w.Context(), made[1].ID)
	w.ok(err)
	made[1].RevokedAt = start.Add(time.Minute)
	sameKey(w, got, made[1])

	_, err = w.Store.APIKey(w.Context(), session.NewID())
	w.is(err, session.ErrNotFound, "a missing key")
	w.is(w.Store.RevokeAPIKey(w.Context(), w.tenant, session.NewID()), session.ErrNotFound, "revoking a missing key")
}

func sameKey(w *world, got, want session.APIKey) {
	w.Helper()
	if !bytes.Equal(got.Hash, want.Hash) || !reflect.DeepEqual(got, want) {
		w.Errorf("key %+v, want %+v", got, want)
	}
}

func testNotices(w *world) {
	_, err := w.Store.Notice(w.Context(), w.tenant)
	w.is(err, session.ErrNotFound, "a notice before any was published")
	acknowledged := func(agent string, want int) {
		w.Helper()
		got, err := w.Store.Acknowledged(w.Context(), w.tenant, agent)
		w.ok(err)
		if got != want {
			w.Errorf("%s acknowledged version %d, want %d", agent, got, want)
		}
	}
	acknowledged("badge-1", 0)

	for version, notice := range []session.Notice{{Text: "Premier avis"}, {
		Text: "Deuxième avis", Controller: "Gardien SA", Purpose: "sûreté", LegalBasis: "art. 6.1.f", Recipients: "le client",
		Retention: "30 jours", Rights: "accès, effacement",
	}} {
		w.at(time.Duration(version) * time.Hour)
		want := notice
		want.Version, want.PublishedAt = version+1, w.now
		got, err := w.Store.PublishNotice(w.Context(), w.tenant, notice)
		w.ok(err)
		if got != want {
			w.Errorf("published %+v, want %+v", got, want)
		}
		got, err = w.Store.Notice(w.Context(), w.tenant)
		w.ok(err)
		if got != want {
			w.Errorf("notice %+v, want %+v", got, want)
		}
	}

	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 1))
	acknowledged("badge-1", 1)
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 2))
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 2))
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 1)) // an older one afterwards
	acknowledged("badge-1", 2)
	acknowledged("badge-2", 0)
	for _, version := range []int{-1, 0, 3} {
		w.is(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", version), session.ErrNotFound, "acknowledging version %d of 2", version)
	}
	w.is(w.Store.Acknowledge(w.Context(), w.newTenant(), "badge-1", 1), session.ErrNotFound, "acknowledging another tenant's notice")
}
