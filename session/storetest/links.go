package storetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

func (w *world) link(m *session.Mission) session.Link {
	return session.Link{
		ID: session.NewID(), Tenant: m.Tenant, Mission: m.ID, Label: "reception", MaxViewers: 3,
		View:      session.View{Profile: "cell:8", Trail: true},
		CreatedAt: w.now, ExpiresAt: m.Deadline.Add(time.Hour),
	}
}

func testLinks(w *world) {
	m := w.begun("badge-1")
	list, err := w.Store.Links(w.Context(), w.tenant, m.ID, uuid.Nil, 10)
	w.ok(err)
	if len(list) != 0 {
		w.Errorf("a new mission has links: %+v", list)
	}
	var made []session.Link
	for i := range 3 {
		w.at(time.Duration(i) * time.Second)
		l := w.link(m)
		l.View.Trail = i == 0
		w.ok(w.Store.CreateLink(w.Context(), l))
		made = append(made, l)
	}
	w.is(w.Store.CreateLink(w.Context(), made[0]), session.ErrExists, "the same link again")
	if got := w.read(m); got.Revision != m.Revision || got.RevokedLinks != nil {
		w.Errorf("a link changed its mission: %+v", got)
	}

	w.at(time.Minute)
	id, err := w.Store.RevokeLink(w.Context(), w.tenant, made[1].ID)
	w.ok(err)
	if id != m.ID {
		w.Errorf("the link revoked is of mission %s, want %s", id, m.ID)
	}
	after := w.read(m)
	if after.Revision <= m.Revision {
		w.Errorf("revoking a link left the revision at %d", after.Revision)
	}
	if !slices.Equal(after.RevokedLinks, []uuid.UUID{made[1].ID}) {
		w.Errorf("revoked links %v, want %v", after.RevokedLinks, made[1].ID)
	}

	w.at(time.Hour)
	if id, err = w.Store.RevokeLink(w.Context(), w.tenant, made[1].ID); err != nil || id != m.ID {
		w.Errorf("revoking again: mission %s, error %v", id, err)
	}
	if again := w.read(m); again.Revision != after.Revision {
		w.Errorf("revoking again raised the revision from %d to %d", after.Revision, again.Revision)
	}
	made[1].RevokedAt = start.Add(time.Minute)
	list, err = w.Store.Links(w.Context(), w.tenant, m.ID, uuid.Nil, 10)
	w.ok(err)
	if !reflect.DeepEqual(list, made) {
		w.Errorf("links %+v, want %+v", list, made)
	}
	for after, want := range map[uuid.UUID][]session.Link{uuid.Nil: made[:2], made[0].ID: made[1:], made[1].ID: made[2:], made[2].ID: nil} {
		if list, err = w.Store.Links(w.Context(), w.tenant, m.ID, after, 2); err != nil || !slices.Equal(list, want) {
			w.Errorf("links after %s: %+v, %v; want %+v", after, list, err, want)
		}
	}

	// A revocation comes back with every change after it, too.
	if after := w.do(m, session.Pause); !slices.Equal(after.RevokedLinks, []uuid.UUID{made[1].ID}) {
		w.Errorf("after a pause the revoked links are %v, want %v", after.RevokedLinks, made[1].ID)
	}
	missing := w.link(m)
	missing.Mission = session.NewID()
	w.is(w.Store.CreateLink(w.Context(), missing), session.ErrNotFound, "a link of a missing mission")
	_, err = w.Store.RevokeLink(w.Context(), w.tenant, session.NewID())
	w.is(err, session.ErrNotFound, "revoking a missing link")
}
