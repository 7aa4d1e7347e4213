package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ronde/session"
)

// testUnsealed: a node that does not know yet that the mission has begun
// sends pings without sealed positions, and is told so only of the good ones.
func testUnsealed(w *world) {
	m := w.begun("badge-1")
	w.at(time.Minute)
	bare := submit(m, "badge-1", 0, w.now, w.now.Add(-time.Hour), w.now.Add(time.Hour))
	whole := bare.Sealed
	check := func(want ...session.Verdict) {
		w.Helper()
		w.ok(w.Store.Append(w.Context(), []*session.Submission{bare}))
		for i, v := range bare.Verdicts {
			if v != want[i] {
				w.Errorf("ping %d: verdict %s, want %s", i, name(v), name(want[i]))
			}
		}
	}
	bare.Sealed = nil
	check(session.Unsealed, session.OutsideWindow, session.Future)
	w.stored(m, 0)
	bare.Sealed = whole
	check(session.Stored, session.OutsideWindow, session.Future)
	w.stored(m, 1)

	scheduled := w.create(w.plan("badge-2"))
	bare = submit(scheduled, "badge-2", 0, w.now)
	bare.Sealed = nil
	check(session.NotActive)
}

// testNoticeMissing is P10: once a notice is published, an agent who has not
// acknowledged its latest version is not located.
func testNoticeMissing(w *world) {
	m := w.begun("badge-1", "badge-2")
	w.at(time.Minute)
	w.judged(m, "badge-1", w.now, session.Stored) // none is published
	publish := func() {
		w.Helper()
		_, err := w.Store.PublishNotice(w.Context(), w.tenant, session.Notice{Text: "avis"})
		w.ok(err)
		w.clock(w.now.Add(time.Minute))
	}
	publish()
	w.judged(m, "badge-1", w.now, session.NoticeMissing)
	w.judged(m, "badge-1", w.now.Add(time.Hour), session.NoticeMissing)
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 1))
	w.judged(m, "badge-1", w.now, session.Stored)
	w.judged(m, "badge-2", w.now, session.NoticeMissing)
	publish()
	w.judged(m, "badge-1", w.now, session.NoticeMissing)
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 2))
	w.judged(m, "badge-1", w.now, session.Stored)

	// As in a mission that keeps no track.
	bare := w.plan("badge-3")
	bare.Policy.Track = false
	bare = w.do(w.create(bare), session.Begin)
	w.judged(bare, "badge-3", w.now, session.NoticeMissing)
	rows, err := w.Store.Latest(w.Context(), w.tenant, bare.ID, 1)
	w.ok(err)
	if len(rows) != 0 {
		w.Errorf("%d latest positions of an agent who was not told", len(rows))
	}
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-3", 2))
	w.judged(bare, "badge-3", w.now, session.Stored)

	other := w.plan("badge-2")
	other.Tenant = w.newTenant()
	other = w.do(w.create(other), session.Begin)
	w.judged(other, "badge-2", w.now, session.Stored) // another tenant has no notice
	w.stored(m, 3)
}

// testRefusals: what is refused is counted by agent and reason, and nothing that
// may still be stored is.
func testRefusals(w *world) {
	m := w.begun("badge-1", "badge-2")
	counted := func(want ...session.Refusal) {
		w.Helper()
		got, err := w.Store.Refusals(w.Context(), m.Tenant, m.ID)
		w.ok(err)
		if !slices.Equal(got, want) {
			w.Errorf("refused %v, want %v", got, want)
		}
	}
	counted()
	w.at(time.Minute)
	w.append(m, "badge-1", w.now, w.now, start.Add(-time.Hour), w.now.Add(time.Hour), start.Add(-2*time.Hour))
	w.append(m, "stranger", w.now, start.Add(-time.Hour))
	counted(session.Refusal{Agent: "badge-1", Reason: "future", Count: 1}, session.Refusal{Agent: "badge-1", Reason: "outside_window", Count: 2})

	// Another position of a slot is refused, be it in the same batch or in a later one.
	s := submit(m, "badge-2", 0, w.now, w.now)
	s.Sealed[1] = submit(m, "badge-2", 1, w.now).Sealed[0]
	w.ok(w.Store.Append(w.Context(), []*session.Submission{s, submit(m, "badge-2", 2, w.now)}))
	w.append(m, "badge-1", w.now.Add(time.Hour))
	want := []session.Refusal{
		{Agent: "badge-1", Reason: "future", Count: 2}, {Agent: "badge-1", Reason: "outside_window", Count: 2},
		{Agent: "badge-2", Reason: "too_frequent", Count: 2},
	}
	counted(want...)

	w.do(m, session.Pause)
	w.judged(m, "badge-2", start.Add(30*time.Second), session.MissionPaused)
	w.judged(m, "badge-2", start.Add(-30*time.Second), session.MissionPausedOutside)
	counted(want...)
	w.do(m, session.Resume)
	_, err := w.Store.PublishNotice(w.Context(), w.tenant, session.Notice{Text: "avis"})
	w.ok(err)
	w.at(2 * time.Minute)
	w.judged(m, "badge-2", w.now, session.NoticeMissing)
	w.do(m, session.End)
	w.judged(m, "badge-2", w.now, session.NotActive)
	counted(append(want[:2], session.Refusal{Agent: "badge-2", Reason: "not_active", Count: 1},
		session.Refusal{Agent: "badge-2", Reason: "notice_missing", Count: 1}, want[2])...)

	m = w.plan("badge-3")
	m.Tenant, m.Policy.Track = w.newTenant(), false
	w.do(w.create(m), session.Begin)
	w.judged(m, "badge-3", w.now, session.Stored)
	w.ok(w.Store.Append(w.Context(), []*session.Submission{submit(m, "badge-3", 1, w.now)}))
	counted(session.Refusal{Agent: "badge-3", Reason: "too_frequent", Count: 1})
}

// testBatches: one batch carries many tenants, missions and agents, and every
// ping is judged on its own.
func testBatches(w *world) {
	var batch []*session.Submission
	var missions []*session.Mission
	var want [][]session.Verdict
	for range 3 {
		tenant := w.newTenant()
		for mission := range 3 {
			m := w.plan("badge-1", "badge-2")
			m.Tenant = tenant
			for i := range m.Agents {
				m.Agents[i].ID = fmt.Sprintf("badge-%d-%d", mission, i)
			}
			missions = append(missions, w.do(w.create(m), session.Begin))
		}
	}
	w.at(time.Minute)
	w.do(missions[4], session.Pause)
	w.do(missions[5], session.End)
	w.at(2 * time.Minute)
	for i, m := range missions {
		for a := range m.Agents {
			batch = append(batch, submit(m, m.Agents[a].ID, 0,
				start.Add(10*time.Second), w.now.Add(-time.Hour), w.now.Add(time.Hour), start.Add(11*time.Second), start.Add(10*time.Second)))
			verdicts := []session.Verdict{session.Stored, session.OutsideWindow, session.Future, session.Stored, session.Unchanged}
			switch i {
			case 4:
				verdicts = []session.Verdict{session.MissionPaused, session.MissionPausedOutside, session.MissionPausedOutside, session.MissionPaused, session.MissionPaused}
			case 5:
				verdicts = []session.Verdict{session.NotActive, session.NotActive, session.NotActive, session.NotActive, session.NotActive}
			}
			want = append(want, verdicts)
		}
	}
	batch = append(batch, &session.Submission{Ref: session.Ref{Tenant: missions[0].Tenant, ID: missions[0].ID}, Agent: "badge-0-0"}) // of no pings
	want = append(want, nil)
	w.ok(w.Store.Append(w.Context(), batch))
	for i, s := range batch {
		if len(s.Verdicts) != len(want[i]) || s.Now != w.now.UnixMilli() {
			w.Fatalf("submission %d: %d verdicts at %d", i, len(s.Verdicts), s.Now)
		}
		for j, v := range s.Verdicts {
			if v != want[i][j] {
				w.Errorf("submission %d ping %d: verdict %s, want %s", i, j, name(v), name(want[i][j]))
			}
		}
	}
	for i, m := range missions {
		if i == 4 || i == 5 {
			w.stored(m, 0)
		} else {
			w.stored(m, 4)
		}
	}
	w.ok(w.Store.Append(w.Context(), nil))
}

// testNoTrack: a mission without a track keeps each located agent's latest
// position and nothing else.
func testNoTrack(w *world) {
	m := w.plan("badge-1", "badge-2")
	m.Policy.Track = false
	m = w.do(w.create(m), session.Begin)
	shows := func(want ...time.Time) {
		w.Helper()
		rows, err := w.Store.Latest(w.Context(), w.tenant, m.ID, 10)
		w.ok(err)
		if len(rows) != len(want) {
			w.Errorf("latest positions %+v, want %d", rows, len(want))
			return
		}
		for i := range rows {
			if !rows[i].At.Equal(want[i]) {
				w.Errorf("latest position of %s at %s, want %s", rows[i].Agent, clockTime(rows[i].At), clockTime(want[i]))
			}
		}
		w.stored(m, 0)
		w.latest(m, len(want))
	}
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	w.at(time.Minute)
	w.judged(m, "badge-1", at(30), session.Stored)
	shows(at(30))
	w.judged(m, "badge-1", at(20), session.Stored) // an earlier one is good, and changes nothing
	shows(at(30))
	w.judged(m, "badge-1", at(30), session.Unchanged)
	other := submit(m, "badge-1", 7, at(30))
	w.ok(w.Store.Append(w.Context(), []*session.Submission{other}))
	if other.Verdicts[0] != session.TooFrequent {
		w.Errorf("another position of the slot: verdict %s", name(other.Verdicts[0]))
	}
	w.append(m, "badge-1", at(40), at(35), at(50), at(45))
	w.append(m, "badge-2", at(55))
	shows(at(50), at(55))
	if rows, err := w.Store.Track(w.Context(), w.tenant, m.ID, session.Cursor{}, 10); err != nil || len(rows) != 0 {
		w.Errorf("track %v, %v of a mission that keeps none", rows, err)
	}
	news, err := w.Store.News(w.Context(), []session.Known{{Ref: session.Ref{Tenant: w.tenant, ID: m.ID}, Revision: m.Revision, Watched: true}})
	w.ok(err)
	if len(news.Newest) != 2 {
		w.Errorf("newest %+v, want both agents'", news.Newest)
	}

	w.do(m, session.PauseAgent, "badge-1")
	shows(at(55))
	w.judged(m, "badge-1", at(52), session.Stored) // good, but not where the agent is now
	shows(at(55))
	w.at(2 * time.Minute)
	w.do(m, session.ResumeAgent, "badge-1")
	w.judged(m, "badge-1", at(53), session.Stored)
	shows(at(55))
	w.judged(m, "badge-1", at(120), session.Stored)
	shows(at(120), at(55))
	w.do(m, session.Pause)
	shows()
	w.do(m, session.Resume)
	w.at(3 * time.Minute)
	w.judged(m, "badge-2", at(180), session.Stored)
	shows(at(180))
	w.at(4 * time.Minute)
	w.do(m, session.End)
	shows()
}

// testCancelled: a caller who gives up leaves all or nothing behind.
func testCancelled(w *world) {
	m := w.begun("badge-1")
	for i := range 5 {
		w.at(time.Duration(i) * time.Minute)
		w.judged(m, "badge-1", w.now, session.Stored)
	}
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	s := submit(m, "badge-1", 0, w.now.Add(-30*time.Second))
	err := w.Store.Append(ctx, []*session.Submission{s})
	w.is(err, session.ErrUnavailable, "Append for a caller who has gone")
	w.is(err, context.Canceled, "Append for a caller who has gone")
	_, err = w.Store.Mission(ctx, w.tenant, m.ID)
	w.is(err, session.ErrUnavailable, "Mission for a caller who has gone")

	ctx, cancel = context.WithCancel(w.Context())
	_, err = w.Store.UpdateMission(ctx, w.tenant, m.ID, func(m *session.Mission) error {
		cancel()
		return m.Apply(session.Command{Action: session.End, By: session.ByPlatform, At: start.Add(2 * time.Minute)}, m.ReadAt)
	})
	got := w.read(m)
	if err != nil {
		w.is(err, session.ErrUnavailable, "UpdateMission for a caller who leaves")
	} else if got.State != session.Ended {
		w.Errorf("UpdateMission succeeded and left the mission %s", got.State)
	}
	switch {
	case got.State == session.Ended && got.Agents[0].Removed == 3:
		w.stored(m, 2)
	case got.Revision == m.Revision && got.Agents[0].Open() != nil && got.Agents[0].Removed == 0:
		w.stored(m, 5)
	default:
		w.Errorf("half a transaction: %+v", got)
	}
}
