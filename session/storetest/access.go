package storetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// access returns a row of the access log that says everything a row can.
func (w *world) access(a session.AccessAction) session.Access {
	return session.Access{
		Tenant: w.tenant, Role: session.Operator, Subject: session.NewID(), Action: a, Mission: session.NewID(),
		Agent: "9f86d081884c7d659a2feaa0c55ad015", Object: session.NewID(), Why: "plainte n° 7, déposée le 3",
	}
}

// accessLog returns a tenant's rows that f selects, by pages of two.
func (w *world) accessLog(tenant string, f session.AccessFilter) []session.Access {
	w.Helper()
	var all []session.Access
	for after := uuid.Nil; ; {
		page, err := w.Store.AccessLog(w.Context(), tenant, f, after, 2)
		w.ok(err)
		if len(page) > 2 {
			w.Fatalf("a page of 2 holds %d rows", len(page))
		}
		if len(page) == 0 {
			return all
		}
		for i := range page {
			all = append(all, page[i].Access)
		}
		after = page[len(page)-1].ID
	}
}

func testAccessLog(w *world) {
	stranger := w.newTenant()
	full, own := w.access(session.AccessTrackRead), session.Access{Tenant: w.tenant, Action: session.AccessDeadline}
	foreign := w.access(session.AccessLiveOpen)
	foreign.Tenant = stranger
	installation := session.Access{Action: session.AccessKeysRotate}
	full.At = start.Add(time.Hour) // which the store knows better
	batch := []session.Access{full, foreign, own, installation}
	w.at(time.Minute)
	w.ok(w.Store.LogAccess(w.Context(), batch))
	w.ok(w.Store.LogAccess(w.Context(), nil))
	for i := range batch {
		batch[i].At = start.Add(time.Minute)
		if batch[i].ID == uuid.Nil {
			w.Errorf("row %d has no id", i)
		}
	}
	if got, want := w.accessLog(w.tenant, session.AccessFilter{}), []session.Access{batch[0], batch[2]}; !reflect.DeepEqual(got, want) {
		w.Errorf("the log is %+v, want %+v", got, want)
	}
	if got, want := w.accessLog(stranger, session.AccessFilter{}), []session.Access{batch[1]}; !reflect.DeepEqual(got, want) {
		w.Errorf("the stranger's log is %+v, want %+v", got, want)
	}
	if got := w.accessLog("", session.AccessFilter{}); len(got) != 0 {
		w.Errorf("no tenant's log shows %+v: what concerns the installation is no tenant's to read", got)
	}

	// All or none: the second has an id that is taken.
	fresh := w.access(session.AccessTrackRead)
	w.is(w.Store.LogAccess(w.Context(), []session.Access{fresh, batch[0]}), session.ErrExists, "a row whose id is taken")
	if got := w.accessLog(w.tenant, session.AccessFilter{}); len(got) != 2 {
		w.Errorf("of a batch that failed there is %+v", got[2:])
	}
}

func testAccessFilters(w *world) {
	actions := []session.AccessAction{session.AccessTrackRead, session.AccessLiveOpen, session.AccessLiveClose, session.AccessTrackRead}
	var rows []session.Access
	for i, action := range actions {
		w.at(time.Duration(i) * time.Minute)
		row := w.access(action)
		if i > 0 {
			row.Mission = session.NewID()
		}
		if i == 2 {
			row.Agent = "another"
		}
		batch := []session.Access{row}
		w.ok(w.Store.LogAccess(w.Context(), batch))
		rows = append(rows, batch[0])
	}
	for name, test := range map[string]struct {
		filter session.AccessFilter
		want   []int
	}{
		"all":     {session.AccessFilter{}, []int{0, 1, 2, 3}},
		"newest":  {session.AccessFilter{Newest: true}, []int{3, 2, 1, 0}},
		"mission": {session.AccessFilter{Mission: rows[1].Mission}, []int{1}},
		"agent":   {session.AccessFilter{Agent: "another"}, []int{2}},
		"actions": {session.AccessFilter{Actions: []session.AccessAction{session.AccessLiveOpen, session.AccessLiveClose}}, []int{1, 2}},
		"from":    {session.AccessFilter{From: start.Add(time.Minute)}, []int{1, 2, 3}},
		"to":      {session.AccessFilter{To: start.Add(time.Minute)}, []int{0}},
		"several": {session.AccessFilter{Actions: actions[:1], From: start, To: start.Add(time.Hour), Agent: rows[0].Agent, Newest: true}, []int{3, 0}},
	} {
		var want []uuid.UUID
		for _, i := range test.want {
			want = append(want, rows[i].ID)
		}
		if got := idsOf(w.accessLog(w.tenant, test.filter)); !slices.Equal(got, want) {
			w.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func idsOf(rows []session.Access) (ids []uuid.UUID) {
	for _, a := range rows {
		ids = append(ids, a.ID)
	}
	return ids
}

// testAccessOfMissions: whatever changes a mission is in the log, with the
// change; what does not, is not.
func testAccessOfMissions(w *world) {
	m := w.create(w.plan("badge-1", "badge-2"))
	who := session.NewID()
	var want []session.Access
	do := func(c session.Command, logged session.AccessAction) {
		w.Helper()
		c.Subject = who
		if c.Agent != "" {
			c.Pseudonym = "pseudonym of " + c.Agent
		}
		w.at(time.Duration(len(want)) * time.Second)
		updated, err := w.try(m, c)
		w.ok(err)
		if updated.Log != nil {
			w.Errorf("%s: the mission still has %+v to log", c.Action, updated.Log)
		}
		role := session.Platform
		if c.By == session.ByAgent {
			role = session.AgentRole
		}
		if logged != "" {
			want = append(want, session.Access{
				At: w.now, Tenant: w.tenant, Role: role, Subject: who, Action: logged, Mission: m.ID, Agent: c.Pseudonym,
			})
		}
	}
	asAgent := func(a session.Action) session.Command {
		return session.Command{Action: a, By: session.ByAgent, Agent: "badge-1"}
	}
	do(session.Command{Action: session.Begin}, session.AccessBegin)
	do(session.Command{Action: session.Begin}, "") // repeated
	do(session.Command{Action: session.Pause}, session.AccessPause)
	do(session.Command{Action: session.Resume}, session.AccessResume)
	do(asAgent(session.PauseAgent), session.AccessAgentPause)
	do(asAgent(session.ResumeAgent), session.AccessAgentResume)
	do(asAgent(session.ResumeAgent), "")
	do(asAgent(session.RaiseSOS), session.AccessSOSRaise)
	do(session.Command{Action: session.AcknowledgeSOS}, session.AccessSOSAcknowledge)
	do(asAgent(session.WithdrawSOS), session.AccessSOSWithdraw)
	do(session.Command{Action: session.CloseSOS}, "") // none stands
	do(session.Command{Action: session.Relieve, Agent: "badge-2"}, session.AccessAgentRelieve)
	do(session.Command{Action: session.AddAgent, Agent: "badge-3"}, session.AccessAgentAdd)
	do(session.Command{Action: session.RevokeTokens, Agent: "badge-3"}, session.AccessTokenRevoke)
	do(session.Command{Action: session.Extend, EndsAt: m.EndsAt.Add(time.Hour)}, session.AccessExtend)
	_, err := w.Store.UpdateMission(w.Context(), w.tenant, m.ID, func(m *session.Mission) error {
		w.ok(m.Apply(session.Command{Action: session.Pause, By: session.ByPlatform}, m.ReadAt))
		return session.ErrForbidden
	})
	w.is(err, session.ErrForbidden, "a change that is called off")
	do(session.Command{Action: session.End}, session.AccessEnd)
	w.sameAccess(w.accessLog(w.tenant, session.AccessFilter{Mission: m.ID}), want)

	w.at(0)
	begun, missed := w.begun("badge-8"), w.create(w.plan("badge-9"))
	w.clock(begun.Deadline.Add(time.Minute))
	for _, closed := range []struct {
		m      *session.Mission
		logged session.AccessAction
	}{{begun, session.AccessDeadline}, {missed, session.AccessMissed}} {
		w.settle(closed.m)
		w.settle(closed.m)
		got := w.accessLog(w.tenant, session.AccessFilter{Mission: closed.m.ID, From: closed.m.Deadline})
		w.sameAccess(got, []session.Access{{At: w.now, Tenant: w.tenant, Action: closed.logged, Mission: closed.m.ID}})
	}
	w.at(0)
	cancelled := w.do(w.create(w.plan("badge-1")), session.Cancel)
	got := w.accessLog(w.tenant, session.AccessFilter{Mission: cancelled.ID})
	w.sameAccess(got, []session.Access{{At: w.now, Tenant: w.tenant, Role: session.Platform, Action: session.AccessCancel, Mission: cancelled.ID}})
}

// sameAccess compares rows in all but their ids.
func (w *world) sameAccess(got, want []session.Access) {
	w.Helper()
	for i := range got {
		if got[i].ID == uuid.Nil {
			w.Errorf("row %d has no id", i)
		}
		got[i].ID = uuid.Nil
	}
	if !reflect.DeepEqual(got, want) {
		w.Errorf("the log says\n%+v, want\n%+v", got, want)
	}
}
