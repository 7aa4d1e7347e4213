package tracker_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// accesses returns what the access log has of a mission's viewers.
func (n *node) accesses(m *session.Mission) []session.LoggedAccess {
	n.t.Helper()
	filter := session.AccessFilter{Mission: m.ID, Actions: []session.AccessAction{session.AccessLiveOpen, session.AccessLiveClose}}
	rows, err := n.store.AccessLog(n.t.Context(), m.Tenant, filter, uuid.Nil, 100_000)
	must(n.t, err)
	return rows
}

// The ways of watching. Each opens a connection and returns the type of the first
// frame, or the code by which it is refused, and what ends the connection.
var ways = map[string]func(n *node, p *session.Principal) (first string, end func(), err error){
	"socket": func(n *node, p *session.Principal) (string, func(), error) {
		ws, _, err := websocket.Dial(n.t.Context(), "ws"+n.server.URL[4:]+"/live"+n.caller(p), &websocket.DialOptions{Subprotocols: []string{liveProtocol}})
		if err != nil {
			return "", nil, err
		}
		end := func() { _ = ws.CloseNow() }
		_, frame, err := ws.Read(n.t.Context())
		if code := websocket.CloseStatus(err); code != -1 {
			return strconv.Itoa(int(code)), end, nil
		}
		return typeOf(frame), end, err
	},
	"stream": func(n *node, p *session.Principal) (string, func(), error) {
		req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.server.URL+"/events"+n.caller(p), nil)
		if err != nil {
			return "", nil, err
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return "", nil, err
		}
		end := func() { _ = resp.Body.Close() }
		if resp.StatusCode != http.StatusOK {
			code, err := io.ReadAll(resp.Body)
			return strings.TrimSpace(string(code)), end, err
		}
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		return strings.TrimSpace(strings.TrimPrefix(line, "event: ")), end, err
	},
}

// typeOf returns the type of a frame.
func typeOf(frame []byte) string {
	var m msg
	_ = json.Unmarshal(frame, &m) // what is no JSON has none
	return fmt.Sprint(m["type"])
}

// TestNothingIsShownBeforeItIsRecorded is I6 for those who watch: the first frame
// of a socket, and of a stream the first byte, goes out after the row about its
// opening is committed. The commit is held until another viewer of the same room
// has seen a position that came after the newcomer was let in.
func TestNothingIsShownBeforeItIsRecorded(t *testing.T) {
	t.Parallel()
	for kind, watch := range ways {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.active("badge-17")
			agent, witness := r.agent(m, "badge-17"), r.viewer(m, session.ProfileExact)
			agent.until("viewers")
			witness.until("snapshot")

			release, asked := make(chan struct{}), make(chan session.Access, 1)
			var committed atomic.Bool
			r.store.onLog(func(batch []session.Access, next func() error) error {
				asked <- batch[0]
				<-release
				err := next()
				committed.Store(true)
				return err
			})
			link := viewerOf(m, session.ProfileExact)
			type outcome struct {
				first  string
				before bool // it came before the commit
				err    error
			}
			shown := make(chan outcome, 1)
			go func() {
				first, end, err := watch(r.node, link)
				shown <- outcome{first, !committed.Load(), err}
				if end != nil {
					end()
				}
			}()
			row := <-asked
			if row.Action != session.AccessLiveOpen || row.Role != session.Viewer || row.Subject != link.Subject || row.Mission != m.ID || row.Agent != "" || row.Why != "" {
				t.Errorf("recorded is %+v", row)
			}
			for agent.until("viewers")["count"] != 2.0 {
				continue
			}
			r.clock.advance(time.Second)
			agent.pings(pingAt(1, r.clock.now(), geo.Point{Latitude: 48.5, Longitude: 2.5}))
			for !strings.Contains(fmt.Sprint(witness.until("progress")), "48.5") {
				continue
			}
			close(release)
			if got := <-shown; got.first != "snapshot" || got.before || got.err != nil {
				t.Errorf("the viewer got %+v", got)
			}
			r.store.onLog(nil)
		})
	}
}

// TestNothingIsShownUnrecorded: while the access log takes nothing, nobody
// watches, and pages are told to come again.
func TestNothingIsShownUnrecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	link := viewerOf(m, session.ProfileExact)
	link.Viewers = 1
	for _, down := range []bool{true, false} {
		r.store.onLog(nil)
		if down {
			r.store.onLog(func([]session.Access, func() error) error { return session.ErrUnavailable.Because("planted") })
		}
		for kind, watch := range ways {
			want := "snapshot"
			if down {
				want = map[string]string{"socket": "1001", "stream": "store_unavailable"}[kind]
			}
			got, end, err := watch(r.node, link)
			for !down && (got == "4008" || got == "too_many_viewers") { // the one before has not left yet
				must(t, err)
				end()
				got, end, err = watch(r.node, link)
			}
			must(t, err)
			if got != want { // those who were refused take nobody's place
				t.Errorf("%s, log down %t: %s, want %s", kind, down, got, want)
			}
			end()
		}
	}
}

// TestNoticeIsRecorded: that an agent acknowledges the notice over the socket is
// recorded first, or does not count.
func TestNoticeIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	_, err := r.service.PublishNotice(t.Context(), staff, session.Notice{Text: "We locate you during missions."})
	must(t, err)
	agent := r.agent(m, "badge-17")
	agent.until("hello")
	r.store.onLog(func([]session.Access, func() error) error { return session.ErrUnavailable.Because("planted") })
	agent.send(`{"type":"notice","version":1}`)
	if e := agent.until("error"); e["code"] != "store_unavailable" {
		t.Errorf("unrecorded: %v", e)
	}
	if v, err := r.store.Acknowledged(t.Context(), tenant, "badge-17"); v != 0 || err != nil {
		t.Errorf("unrecorded, and acknowledged is version %d, %v", v, err)
	}
	r.store.onLog(nil)
	agent.send(`{"type":"notice","version":1}`)
	agent.until("state")
	rows, err := r.store.AccessLog(t.Context(), tenant, session.AccessFilter{Actions: []session.AccessAction{session.AccessNoticeAccept}}, uuid.Nil, 9)
	if must(t, err); len(rows) != 1 || rows[0].Agent != r.service.Pseudonym(tenant, "badge-17") || rows[0].Mission != m.ID || rows[0].Role != session.AgentRole {
		t.Errorf("the log has %+v", rows)
	}
}

// TestRefusedViewersLeaveNoRow: whoever is not let in did not watch.
func TestRefusedViewersLeaveNoRow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	link := viewerOf(m, session.ProfileExact)
	link.Viewers = 1
	v := r.dial("/live"+r.caller(link), liveProtocol)
	v.until("snapshot")
	if code := r.refused("/live", link); code != 4008 {
		t.Fatalf("one too many was closed with %d", code)
	}
	expired := viewerOf(m, session.ProfileExact)
	expired.Expires = r.edge.now()
	if code := r.refused("/live", expired); code != 4001 {
		t.Fatalf("an expired link was closed with %d", code)
	}
	if rows := r.accesses(m); len(rows) != 1 {
		t.Errorf("the log has %+v", rows)
	}
}

// TestEveryOpenIsClosed: once a hub has stopped, the log has the end of every
// connection, in few transactions, whoever ended it and however.
func TestEveryOpenIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	batches := 0
	r.store.onLog(func(batch []session.Access, next func() error) error {
		if batch[0].Action == session.AccessLiveClose {
			batches++ // by one goroutine
		}
		return next()
	})
	const each = 30
	var streams []*stream
	for i := range each {
		v := r.viewer(m, session.ProfileExact)
		v.until("snapshot")
		if i%2 == 0 {
			must(t, v.ws.CloseNow())
		}
		s := r.events(viewerOf(m, session.ProfileExact))
		s.until("snapshot")
		streams = append(streams, s)
	}
	r.hub.Close()
	for _, s := range streams {
		if data := s.closed(); data != `{"code":1001}` {
			t.Errorf("a stream closed with %s", data)
		}
	}
	opened := map[uuid.UUID]session.LoggedAccess{}
	closes := 0
	for _, row := range r.accesses(m) {
		switch open, known := opened[row.Object]; {
		case row.Action == session.AccessLiveOpen && !known && row.Object != uuid.Nil:
			opened[row.Object] = row
		case row.Action == session.AccessLiveClose && known && open.Subject == row.Subject && open.Role == row.Role && !row.At.Before(open.At):
			closes++
			opened[row.Object] = session.LoggedAccess{} // a second one would not match
		default:
			t.Errorf("a row out of place: %+v", row)
		}
	}
	if closes != 2*each || len(opened) != 2*each {
		t.Errorf("%d connections were opened and %d closed, want %d", len(opened), closes, 2*each)
	}
	t.Logf("%d closes in %d transactions", closes, batches)
}
