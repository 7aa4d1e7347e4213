package storetest

import (
	"reflect"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// testIsolation is I8: everything asked under another tenant's name is
// answered exactly as if the object did not exist, and changes nothing.
func testIsolation(w *world) {
	m := w.begun("badge-1")
	w.at(time.Minute)
	w.judged(m, "badge-1", w.now, session.Stored)
	link, key := w.link(m), w.key(w.tenant)
	w.ok(w.Store.CreateLink(w.Context(), link))
	w.ok(w.Store.CreateAPIKey(w.Context(), key))
	w.ok(w.Store.CreateOnce(w.Context(), w.creation(m, "own")))
	before := w.read(m)
	stranger := w.newTenant()

	// Each is asked about the real objects under the stranger's name, then
	// about objects that do not exist.
	for _, ask := range []struct {
		what string
		ask  func(mission, link, key uuid.UUID) (any, error)
		want error
	}{
		{"Mission", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Mission(w.Context(), stranger, id)
		}, session.ErrNotFound},
		{"UpdateMission", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.UpdateMission(w.Context(), stranger, id, func(m *session.Mission) error {
				w.Errorf("UpdateMission showed %s", m.ID)
				return m.Apply(session.Command{Action: session.End, By: session.ByPlatform}, m.ReadAt)
			})
		}, session.ErrNotFound},
		{"Missions", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Missions(w.Context(), stranger, session.MissionFilter{}, uuid.Nil, 10)
		}, nil},
		{"Missions after", func(id, _, _ uuid.UUID) (any, error) {
			id[0]++ // a cursor is a place: it shows nobody what lies before it
			f := session.MissionFilter{Agent: "badge-1", Reference: m.Reference, States: []session.State{session.Active}}
			return w.Store.Missions(w.Context(), stranger, f, id, 10)
		}, nil},
		{"Track", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Track(w.Context(), stranger, id, session.Cursor{}, 10)
		}, session.ErrNotFound},
		{"AgentTrack", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.AgentTrack(w.Context(), stranger, id, "badge-1", session.Cursor{}, 10)
		}, session.ErrNotFound},
		{"Latest", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Latest(w.Context(), stranger, id, 10)
		}, session.ErrNotFound},
		{"Refusals", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Refusals(w.Context(), stranger, id)
		}, session.ErrNotFound},
		{"Links", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.Links(w.Context(), stranger, id, uuid.Nil, 10)
		}, session.ErrNotFound},
		{"CreateLink", func(id, _, _ uuid.UUID) (any, error) {
			l := w.link(m)
			l.Tenant, l.Mission = stranger, id
			return nil, w.Store.CreateLink(w.Context(), l)
		}, session.ErrNotFound},
		{"CreateOnce", func(id, _, _ uuid.UUID) (any, error) {
			c := w.creation(m, "stranger's")
			c.Tenant, c.ID = stranger, id
			return nil, w.Store.CreateOnce(w.Context(), c)
		}, session.ErrNotFound},
		{"Receipt", func(_, _, _ uuid.UUID) (any, error) {
			return w.Store.Receipt(w.Context(), stranger, w.receiptOf("own"))
		}, session.ErrNotFound},
		{"RevokeLink", func(_, id, _ uuid.UUID) (any, error) {
			return w.Store.RevokeLink(w.Context(), stranger, id)
		}, session.ErrNotFound},
		{"RevokeAPIKey", func(_, _, id uuid.UUID) (any, error) {
			return nil, w.Store.RevokeAPIKey(w.Context(), stranger, id)
		}, session.ErrNotFound},
		{"AccessLog", func(id, _, _ uuid.UUID) (any, error) {
			return w.Store.AccessLog(w.Context(), stranger, session.AccessFilter{Mission: id}, uuid.Nil, 10)
		}, nil},
		{"APIKeys", func(_, _, _ uuid.UUID) (any, error) {
			return w.Store.APIKeys(w.Context(), stranger)
		}, nil},
		{"Append", func(id, _, _ uuid.UUID) (any, error) {
			foreign := *m
			foreign.Tenant, foreign.ID = stranger, id
			s := submit(&foreign, "badge-1", 0, w.now.Add(-time.Second))
			err := w.Store.Append(w.Context(), []*session.Submission{s})
			return s.Verdicts, err
		}, nil},
	} {
		foreign, err := ask.ask(m.ID, link.ID, key.ID)
		w.is(err, ask.want, "%s of a foreign object", ask.what)
		missing, missingErr := ask.ask(session.NewID(), session.NewID(), session.NewID())
		if !reflect.DeepEqual(foreign, missing) || (err == nil) != (missingErr == nil) ||
			err != nil && err.Error() != missingErr.Error() {
			w.Errorf("%s tells a foreign object (%v, %v) from a missing one (%v, %v)", ask.what, foreign, err, missing, missingErr)
		}
	}
	news, err := w.Store.News(w.Context(), []session.Known{{Ref: session.Ref{Tenant: stranger, ID: m.ID}, Watched: true}})
	w.ok(err)
	if len(news.Missions) != 0 || len(news.Newest) != 0 || len(news.Missing) != 1 {
		w.Errorf("News of a foreign mission: %+v", news)
	}

	if after := w.read(m); !reflect.DeepEqual(after, before) {
		w.Errorf("a stranger changed %+v to %+v", before, after)
	}
	if k, err := w.Store.APIKey(w.Context(), key.ID); err != nil || !k.RevokedAt.IsZero() {
		w.Errorf("a stranger changed the key: %+v, %v", k, err)
	}
	if links, err := w.Store.Links(w.Context(), w.tenant, m.ID, uuid.Nil, 10); err != nil || len(links) != 1 || !links[0].RevokedAt.IsZero() {
		w.Errorf("a stranger changed the links: %+v, %v", links, err)
	}
	w.receipt("own", "own")
	w.stored(m, 1)
}
