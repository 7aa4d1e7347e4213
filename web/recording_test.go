package web_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/web"
)

// rows returns what the access log has of tenant acme.
func (w *world) rows() []session.Access {
	w.t.Helper()
	rows, err := w.store.AccessLog(w.t.Context(), "acme", session.AccessFilter{}, uuid.Nil, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	list := make([]session.Access, len(rows))
	for i := range rows {
		list[i] = rows[i].Access
	}
	return list
}

// What a good request to each route is recorded as, said a second time; "" for
// those that leave no row. Of the sockets package tracker keeps the log.
var recordedAs = map[string]session.AccessAction{
	"createMission": "mission.create", "listMissions": "", "getMission": "", "changeMission": "agent.add",
	"beginMission": "mission.begin", "pauseMission": "mission.pause", "resumeMission": "mission.resume", "endMission": "mission.end", "cancelMission": "mission.cancel",
	"createAgentToken": "token.issue", "revokeAgentTokens": "token.revoke", "createLink": "link.create", "listLinks": "", "revokeLink": "link.revoke",
	"getProgress": "progress.read", "getTrack": "track.read", "getReport": "report.read",
	"publishNotice": "notice.publish", "getNotice": "", "acknowledgeNotice": "notice.acknowledge",
	"holdMission": "hold.set", "releaseMission": "hold.release", "getPolicy": "", "policyPage": "",
	"getLedger": "agent.ledger", "getAccessLog": "log.read", "exportAgent": "agent.export", "eraseAgent": "agent.erase",
	"agentSocket": "", "liveSocket": "", "liveEvents": "",
	"getOpenAPI": "", "home": "", "livePage": "", "docsPage": "", "asset": "", "icon": "",
}

// keyOf returns the name of a key that may use a route, "" for none.
func keyOf(r *web.Route) string {
	for _, role := range r.Roles {
		if slices.Contains(keyNames, string(role)) {
			return string(role)
		}
	}
	return ""
}

// I6, P31, P34: every route leaves exactly the row that it declares, under the id
// of the key that asked, with the reason given, and without a name, a place or a
// token; and nothing when it refuses the caller.
func TestEveryRouteLeavesItsRow(t *testing.T) {
	w := newWorld(t)
	for _, route := range web.Routes() {
		want, known := recordedAs[route.Name]
		declared := route.Access.By != web.Nobody && route.Access.By != web.Connection
		if !known || declared != (want != "") || want != "" && !slices.Contains(route.Access.Actions, want) {
			t.Errorf("%s declares %+v, want %q", route.Pattern(), route.Access, want)
		}
		s := w.sample(route.Name)
		if s.path == "" {
			continue // a file of pages that are not built
		}
		before := len(w.rows())
		if !route.Public && route.Kind == web.API {
			w.call(route.Method, s.path, "", s.body).want(401, "")
			w.call(route.Method, s.path, "revoked", s.body).want(401, "")
			w.call(route.Method, s.path, keyOf(&route), s.body, "Access-Reason", "ab").want(422, "invalid:Access-Reason")
			if !route.Allows(session.Auditor) {
				w.call(route.Method, s.path, "auditor", s.body).want(403, "")
			}
			if n := len(w.rows()) - before; n != 0 {
				t.Errorf("%s leaves %d rows when it refuses", route.Pattern(), n)
			}
		}
		a := w.call(route.Method, s.path, keyOf(&route), s.body, append(w.shake(route.Kind), "Access-Reason", "dispute%20n%C2%B0%207")...)
		rows := w.rows()[before:]
		switch {
		case want == "" && len(rows) == 0:
		case a.status >= 400 || len(rows) != 1 || rows[0].Action != want:
			t.Errorf("%s: %d, and the log has %+v, want one row %s", route.Pattern(), a.status, rows, want)
		default:
			w.checkRow(&route, &rows[0], s, a)
		}
	}
}

// checkRow compares a row with the request that left it and its answer.
func (w *world) checkRow(route *web.Route, row *session.Access, s sample, a *answer) {
	w.t.Helper()
	key, _, err := session.ParseAPIKey(w.keys[keyOf(route)])
	if err != nil {
		w.t.Fatal(err)
	}
	want := session.Access{
		ID: row.ID, At: w.clock.Now(), Tenant: "acme", Role: session.Role(keyOf(route)), Subject: key, Action: recordedAs[route.Name], Why: "dispute n° 7",
	}
	path := strings.Split(s.path, "/")
	switch {
	case route.Name == "createMission":
		want.Mission = uuid.MustParse(a.text("id"))
	case strings.Contains(route.Path, "missions/{id}"):
		want.Mission = uuid.MustParse(path[3])
		if strings.HasSuffix(route.Path, "/hold") {
			want.Object = uuid.MustParse(a.text("id"))
		}
	case strings.Contains(route.Path, "{id}"):
		want.Object = uuid.MustParse(path[3])
	}
	if reason, ok := w.bodyReason(s.body); ok {
		want.Why = reason
	}
	agent := ""
	switch {
	case route.Name == "createLink":
		want.Object = uuid.MustParse(a.text("id"))
	case route.Name == "changeMission":
		agent = strings.Split(s.body, `"`)[5]
	case strings.Contains(route.Path, "missions/{id}/agents/{agent}"):
		agent = path[5]
	case strings.Contains(route.Path, "agents/{agent}"):
		agent = path[3]
	}
	if agent != "" {
		want.Agent = w.service.Pseudonym("acme", agent)
	}
	if !reflect.DeepEqual(*row, want) {
		w.t.Errorf("%s leaves the row\n%+v, want\n%+v", route.Pattern(), *row, want)
	}
	for _, secret := range []string{"badge", "48.8", "2.41", "Entrep", w.keys[keyOf(route)]} {
		if strings.Contains(fmt.Sprintf("%+v", *row), secret) {
			w.t.Errorf("%s leaves a row with %q: %+v", route.Pattern(), secret, *row)
		}
	}
}

// P31: an erasure has its reason from the body or, without one there, from the
// header.
func TestReasonOfErasure(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{"": "dispute 7", "{}": "dispute 7", `{"reason":"asked by the agent"}`: "asked by the agent"} {
		before := len(w.rows())
		w.call("POST", "/v1/agents/"+w.agentOf(w.mission("begin", "end"))+"/erase", "platform", body, "Access-Reason", "dispute%207").want(200, "")
		rows := w.rows()[before:]
		if last := rows[len(rows)-1]; last.Action != session.AccessAgentErase || last.Why != want {
			t.Errorf("%q leaves %+v, want the reason %q", body, last, want)
		}
	}
}

// bodyReason returns the reason that a body gives.
func (w *world) bodyReason(body string) (string, bool) {
	w.t.Helper()
	var given struct{ Reason string }
	if body == "" {
		return "", false
	}
	if err := json.Unmarshal([]byte(body), &given); err != nil {
		w.t.Fatal(err)
	}
	return given.Reason, given.Reason != ""
}

// watchful is a store that notes in which order things happen, and can refuse
// rows of the access log.
type watchful struct {
	session.Store
	mu     sync.Mutex
	order  []string // guarded by mu
	refuse error    // of LogAccess
}

func (s *watchful) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) == 0 || s.order[len(s.order)-1] != what {
		s.order = append(s.order, what)
	}
}

// happened returns what was noted since the last call.
func (s *watchful) happened() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	order := strings.Join(s.order, ", ")
	s.order = nil
	return order
}

func (s *watchful) LogAccess(ctx context.Context, batch []session.Access) error {
	if s.refuse != nil {
		return s.refuse
	}
	err := s.Store.LogAccess(ctx, batch)
	s.note("recorded")
	return err
}

func (s *watchful) CreateMission(ctx context.Context, m *session.Mission) error {
	s.note("changed")
	return s.Store.CreateMission(ctx, m)
}

func (s *watchful) CreateLink(ctx context.Context, l session.Link) error {
	s.note("changed")
	return s.Store.CreateLink(ctx, l)
}

func (s *watchful) CreateOnce(ctx context.Context, c session.Creation) error {
	s.note("changed")
	return s.Store.CreateOnce(ctx, c)
}

func (s *watchful) RevokeLink(ctx context.Context, tenant string, id uuid.UUID) (uuid.UUID, error) {
	s.note("changed")
	return s.Store.RevokeLink(ctx, tenant, id)
}

func (s *watchful) PublishNotice(ctx context.Context, tenant string, n session.Notice) (session.Notice, error) {
	s.note("changed")
	return s.Store.PublishNotice(ctx, tenant, n)
}

func (s *watchful) Acknowledge(ctx context.Context, tenant, agent string, version int) error {
	s.note("changed")
	return s.Store.Acknowledge(ctx, tenant, agent, version)
}

// notedAnswer notes the first byte that leaves a handler.
type notedAnswer struct {
	*httptest.ResponseRecorder
	store *watchful
}

func (a notedAnswer) WriteHeader(status int) {
	a.store.note("answered")
	a.ResponseRecorder.WriteHeader(status)
}

// SetWriteDeadline does nothing: nobody reads slowly here.
func (a notedAnswer) SetWriteDeadline(time.Time) error { return nil }

func (a notedAnswer) Write(b []byte) (int, error) {
	a.store.note("answered")
	return a.ResponseRecorder.Write(b)
}

// ask hands a request to the server's handler, without a connection between.
func (w *world) ask(store *watchful, route *web.Route, s sample, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), route.Method, s.path, strings.NewReader(s.body))
	req.Header.Set("Authorization", "Bearer "+w.keys[keyOf(route)])
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.http.Config.Handler.ServeHTTP(notedAnswer{recorder, store}, req)
	return recorder
}

// atEdge returns the routes that package web records itself.
func atEdge() (routes []web.Route) {
	for _, r := range web.Routes() {
		if r.Access.By == web.Edge || r.Access.By == web.EdgeFirst {
			routes = append(routes, r)
		}
	}
	return routes
}

// I6: the row is committed before anything is changed and before the first byte
// of the answer; and a creation that is answered again is recorded again.
func TestRecordedBeforeTheFirstByte(t *testing.T) {
	w := newWorld(t)
	store := &watchful{Store: w.store}
	w.service.Store, w.service.Access = store, session.NewAccessWriter(store)
	for _, route := range atEdge() {
		s := w.sample(route.Name)
		store.happened()
		if a := w.ask(store, &route, s, "Idempotency-Key", route.Name); a.Code >= 300 {
			t.Fatalf("%s: %d %s", route.Pattern(), a.Code, a.Body)
		}
		want := "recorded, changed, answered"
		if route.Method == "GET" {
			want = "recorded, answered"
		}
		if got := store.happened(); got != want {
			t.Errorf("%s: %s, want %s", route.Pattern(), got, want)
		}
		if route.Status != 201 {
			continue
		}
		w.ask(store, &route, s, "Idempotency-Key", route.Name)
		if got := store.happened(); got != "recorded, answered" {
			t.Errorf("%s, again: %s", route.Pattern(), got)
		}
	}
}

// I6: a log that takes nothing: nothing is answered, and nothing changes.
func TestNothingWithoutTheLog(t *testing.T) {
	w := newWorld(t)
	store := &watchful{Store: w.store}
	w.service.Store, w.service.Access = store, session.NewAccessWriter(store)
	for _, route := range atEdge() {
		store.refuse = nil
		s := w.sample(route.Name)
		store.happened()
		store.refuse = session.ErrUnavailable.Because("planted")
		a := w.call(route.Method, s.path, keyOf(&route), s.body).want(503, "store_unavailable")
		wantKeys(t, route.Name, a.json(), "code detail status title")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", route.Pattern())
		}
		if got := store.happened(); got != "" {
			t.Errorf("%s, refused: %s", route.Pattern(), got)
		}
		store.refuse = nil
		w.call(route.Method, s.path, keyOf(&route), s.body).want(max(route.Status, 200), "")
	}
}

// I6: a transition whose row cannot be stored does not happen.
func TestNoTransitionWithoutItsRow(t *testing.T) {
	w := newWorld(t)
	db, err := sql.Open("sqlite3", "file:"+w.path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	broken := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	tried := 0
	for _, route := range web.Routes() {
		if route.Access.By != web.Rules {
			continue
		}
		tried++
		s := w.sample(route.Name)
		before := w.call("GET", "/v1/missions", "platform", "").want(200, "")
		broken("CREATE TRIGGER planted BEFORE INSERT ON access_log BEGIN SELECT RAISE(ABORT, 'planted'); END")
		if a := w.call(route.Method, s.path, "platform", s.body); a.status < 500 {
			t.Errorf("%s without its row: %d %s", route.Pattern(), a.status, a.body)
		}
		broken("DROP TRIGGER planted")
		if after := w.call("GET", "/v1/missions", "platform", "").want(200, ""); string(after.body) != string(before.body) {
			t.Errorf("%s without its row changed a mission:\n%s\n%s", route.Pattern(), before.body, after.body)
		}
		w.call(route.Method, s.path, "platform", s.body).want(200, "")
	}
	if tried < 7 {
		t.Errorf("%d routes are recorded with their change", tried)
	}
}
