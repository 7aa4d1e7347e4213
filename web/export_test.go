package web_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// exported is the part of an export that tests look into.
type exported struct {
	Agent    string `json:"agent"`
	Notices  []any  `json:"notices"`
	Missions []struct {
		Mission   map[string]any   `json:"mission"`
		Positions []map[string]any `json:"positions"`
		Access    []map[string]any `json:"access"`
	} `json:"missions"`
	Access   []map[string]any `json:"access"`
	Complete bool             `json:"complete"`
}

func exportOf(t *testing.T, a *answer) (e exported) {
	t.Helper()
	if err := json.Unmarshal(a.want(200, "").body, &e); err != nil || !e.Complete {
		t.Fatalf("no whole export, %v: %s", err, a.body)
	}
	return e
}

// P39: an export says all that is stored, in fixed members, and who watched when.
func TestExport(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/v1/notice", "platform", `{"text":"We locate you during missions."}`).want(200, "")
	id := w.mission()
	agent := w.agentOf(id)
	w.call("POST", "/v1/agents/"+agent+"/notice", "platform", `{"version":1}`).want(200, "")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	full := at(48.84660004, 2.4)
	full.Altitude, full.Heading, full.Speed, full.Battery, full.Mock = 61.2, 87.5, 1.4, 0.81, true
	w.ping(id, full, at(-0.1, 179.9999999))
	link := session.NewID()
	watched := session.Access{Tenant: "acme", Role: session.Viewer, Subject: link, Action: session.AccessLiveOpen, Mission: uuid.MustParse(id)}
	of := watched
	of.Action, of.Agent = session.AccessAgentPause, w.service.Pseudonym("acme", "another")
	if err := w.store.LogAccess(t.Context(), []session.Access{watched, of}); err != nil {
		t.Fatal(err)
	}

	path := "/v1/agents/" + agent + "/export"
	a := w.call("GET", path, "platform", "").want(200, "")
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Content-Disposition") != `attachment; filename=`+agent+`.json` || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.header)
	}
	whole := a.json()
	wantKeys(t, "export", whole, "access agent complete exported_at missions notices")
	part := first(t, whole["missions"])
	wantKeys(t, "part", part, "access mission positions")
	wantKeys(t, "mission", part["mission"], "alias began_at end_reason ended_at ends_at expires_on holds id paused pauses reference refused relieved removed site sos starts_at state track windows")
	wantKeys(t, "notice", first(t, whole["notices"]), "acknowledged_at version")
	wantKeys(t, "row", first(t, part["access"]), "action at reason role subject")
	begin := theTime.UnixMilli()
	want := `"positions":[{"timestamp":` + itoa(begin) + `,"device_timestamp":` + itoa(begin) + `,"latitude":48.8466000,"longitude":2.4000000,"accuracy":6.5,"altitude":61.2,"heading":87.5,"speed":null,"battery":0.81,"mock":true},` +
		`{"timestamp":` + itoa(begin+1000) + `,"device_timestamp":` + itoa(begin+1000) + `,"latitude":-0.1000000,"longitude":179.9999999,"accuracy":6.5,"altitude":null,"heading":null,"speed":null,"battery":null,"mock":false}]`
	if !strings.Contains(string(a.body), want) {
		t.Errorf("positions are not\n%s\nin\n%s", want, a.body)
	}
	e := exportOf(t, a)
	if len(e.Missions) != 1 || e.Agent != agent || e.Missions[0].Mission["track"] != "kept" {
		t.Errorf("export %+v", e)
	}
	var actions []string
	for _, row := range e.Missions[0].Access {
		actions = append(actions, row["action"].(string))
		if row["action"] == "live.open" && (row["role"] != "viewer" || row["subject"] != link.String()) {
			t.Errorf("who watched: %v", row)
		}
	}
	if strings.Join(actions, " ") != "mission.create mission.begin live.open" { // and nothing about another agent
		t.Errorf("access to the mission %v", actions)
	}
	again := exportOf(t, w.call("GET", path, "platform", ""))
	if n := len(again.Access); n != 3 || again.Access[2]["action"] != "agent.export" || again.Access[1]["action"] != "agent.export" {
		t.Errorf("the exports are not in the export: %v", again.Access)
	}
	w.call("GET", path+"?format=csv", "platform", "").want(422, "invalid:format")
	w.call("GET", path+"?format=json&format=gpx", "platform", "").want(422, "invalid:format")
	w.call("GET", path+"?from=1", "platform", "").want(422, "invalid:from")
}

// An agent reads what is theirs. Of others they learn nothing, not even that
// there are any; and nor does another tenant.
func TestExportIsOnesOwn(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	w.ping(id, at(48.84, 2.41))
	agent, token := w.agentOf(id), w.agentToken(id)
	own := exportOf(t, w.call("GET", "/v1/agents/"+agent+"/export", token, ""))
	if len(own.Missions) != 1 || len(own.Missions[0].Positions) != 1 {
		t.Errorf("an agent's own export: %+v", own)
	}
	other := w.agentOf(w.mission())
	missing := w.call("GET", "/v1/agents/nobody/export", "platform", "").want(404, "not_found")
	for _, c := range []struct{ path, key string }{
		{other, token}, {"nobody", token}, {agent, "foreign"}, {"nobody", "foreign"}, {"no%20one", "platform"}, {"%2e%2e%2f", "platform"},
	} {
		a := w.call("GET", "/v1/agents/"+c.path+"/export", c.key, "").want(404, "not_found")
		if string(a.body) != string(missing.body) || a.header.Get("Content-Disposition") != "" {
			t.Errorf("%s differs from a missing one: %s %v", c.path, a.body, a.header)
		}
	}
	w.call("POST", "/v1/agents/"+agent+"/erase", token, "").want(401, "token_invalid")
	w.call("POST", "/v1/agents/"+agent+"/erase", "foreign", "").want(404, "not_found")
	w.call("POST", "/v1/agents/nobody/erase", "platform", "").want(404, "not_found")
}

// What has expired is said to be gone, and the rest is there.
func TestExportOfExpiredTrack(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	w.ping(id, at(48.84, 2.41))
	agent := w.agentOf(id)
	w.destroySalts()
	e := exportOf(t, w.call("GET", "/v1/agents/"+agent+"/export", "platform", ""))
	if m := e.Missions[0]; m.Mission["track"] != "gone" || len(m.Positions) != 0 || len(m.Mission["windows"].([]any)) != 1 {
		t.Errorf("exported %+v", m)
	}
	gpx := string(w.call("GET", "/v1/agents/"+agent+"/export?format=gpx", "platform", "").want(200, "").body)
	if !strings.Contains(gpx, "<desc>The track has expired") || strings.Contains(gpx, "<trkseg>") {
		t.Errorf("GPX %s", gpx)
	}
}

// gpx is the part of GPX 1.1 that an export uses. Order is checked apart.
type gpx struct {
	XMLName xml.Name `xml:"http://www.topografix.com/GPX/1/1 gpx"`
	Version string   `xml:"version,attr"`
	Tracks  []struct {
		Name     string `xml:"name"`
		Segments []struct {
			Points []struct {
				Latitude  string  `xml:"lat,attr"`
				Longitude string  `xml:"lon,attr"`
				Elevation *string `xml:"ele"`
				Time      string  `xml:"time"`
				Accuracy  string  `xml:"extensions>accuracy"`
				Mock      string  `xml:"extensions>mock"`
			} `xml:"trkpt"`
		} `xml:"trkseg"`
	} `xml:"trk"`
}

// order is what the schema of GPX 1.1 says of the order of children, as far as
// an export has them.
var order = map[string][]string{
	"gpx": {"metadata", "trk"}, "metadata": {"name", "time"}, "trk": {"name", "desc", "extensions", "trkseg"},
	"trkseg": {"trkpt"}, "trkpt": {"ele", "time", "extensions"},
}

// checkGPX holds a document to the schema: elements, their order and their
// attributes.
func checkGPX(t *testing.T, text string) (doc gpx) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var path []string
	last := []int{0}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("GPX: %v in %s", err, text)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if n := len(path); n > 0 && !slices.Contains(path, "extensions") {
				i := slices.Index(order[path[n-1]], e.Name.Local)
				if i < last[n-1] || e.Name.Space != "http://www.topografix.com/GPX/1/1" {
					t.Fatalf("GPX: <%s> is out of place in <%s>", e.Name.Local, path[n-1])
				}
				last[n-1] = i
			} else if n > 0 && e.Name.Space == "http://www.topografix.com/GPX/1/1" {
				t.Fatalf("GPX: <%s> in extensions needs a namespace of its own", e.Name.Local)
			}
			path, last = append(path, e.Name.Local), append(last[:len(path)], 0)
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil || doc.Version != "1.1" {
		t.Fatalf("GPX %q: %v", doc.Version, err)
	}
	return doc
}

// One trk a mission and one trkseg a window, with text that XML must escape.
func TestExportGPX(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(w.fresh(aMission), `"M-1"`, `"M<1> & \"co\""`, 1)
	id := w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	full := at(48.84660004, 2.4)
	full.Altitude, full.Mock = 61.25, true
	w.ping(id, full, at(-0.1, 179.9999999))
	for _, action := range []string{"pause", "resume"} {
		w.clock.Advance(time.Minute)
		w.call("POST", "/v1/missions/"+id+"/"+action, "platform", "").want(200, "")
	}
	w.ping(id, at(1e-7, -1e-7))
	agent := w.agentOf(id)
	a := w.call("GET", "/v1/agents/"+agent+"/export?format=gpx", "platform", "").want(200, "")
	if a.header.Get("Content-Type") != "application/gpx+xml" || !strings.HasSuffix(a.header.Get("Content-Disposition"), ".gpx") {
		t.Errorf("headers %v", a.header)
	}
	doc := checkGPX(t, string(a.body))
	if len(doc.Tracks) != 1 || doc.Tracks[0].Name != `M<1> & "co"` || len(doc.Tracks[0].Segments) != 2 {
		t.Fatalf("GPX %+v\n%s", doc, a.body)
	}
	one, two := doc.Tracks[0].Segments[0].Points, doc.Tracks[0].Segments[1].Points
	if len(one) != 2 || len(two) != 1 || one[0].Latitude != "48.8466000" || one[1].Longitude != "179.9999999" || two[0].Longitude != "-0.0000001" ||
		one[0].Elevation == nil || *one[0].Elevation != "61.25" || one[1].Elevation != nil || one[0].Mock != "true" || one[0].Accuracy != "6.5" ||
		one[1].Time != theTime.Add(time.Second).Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("points %+v %+v", one, two)
	}
}

// pagedStore lets a test have its say before each page of a track.
type pagedStore struct {
	session.Store
	page   int
	before func(page int) error
}

func (s *pagedStore) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) ([]session.Row, error) {
	s.page++
	if err := s.before(s.page); err != nil {
		return nil, err
	}
	return s.Store.AgentTrack(ctx, tenant, id, agent, after, limit)
}

// crowded is a world with a mission of so many positions of one agent.
func crowded(t *testing.T, n int) (w *world, agent string) {
	w = newWorld(t)
	id := w.mission("begin")
	sub := w.submission(id)
	for range n {
		sub.Pings = append(sub.Pings, session.Ping{Timestamp: w.clock.Now().UnixMilli(), Position: at(48.84, 2.41)})
		w.clock.Advance(time.Second)
	}
	w.append(sub)
	return w, sub.Agent
}

// A failure after the first byte is visible: no last chunk, and no end of the
// document. Before it, it is a problem like any other.
func TestExportThatFails(t *testing.T) {
	w, agent := crowded(t, 3500)
	for _, format := range []string{"json", "gpx"} {
		for _, fails := range []int{1, 2, 4} {
			w.service.Store = &pagedStore{Store: w.store, before: func(page int) error {
				if page == fails {
					return session.ErrUnavailable.Because("connection refused")
				}
				return nil
			}}
			req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/v1/agents/"+agent+"/export?format="+format, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+w.keys["platform"])
			resp, err := noRedirects.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if fails == 1 {
				if err != nil || resp.StatusCode != 503 || resp.Header.Get("Content-Disposition") != "" || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s, failing before the first byte: %d %v, %v: %s", format, resp.StatusCode, resp.Header, err, body[max(0, len(body)-300):])
				}
				continue
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) || resp.StatusCode != 200 {
				t.Errorf("%s, failing at page %d: %d, read %d bytes, %v", format, fails, resp.StatusCode, len(body), err)
			}
			if len(body) == 0 || json.Valid(body) || strings.HasSuffix(strings.TrimSpace(string(body)), "</gpx>") {
				t.Errorf("%s, failing at page %d: half an answer looks whole: …%s", format, fails, body[max(0, len(body)-80):])
			}
		}
	}
	if strings.Contains(w.log.String(), "48.84") {
		t.Error("the log has a coordinate")
	}
}

// The reader has the first page while the server has not read the last.
func TestExportStreams(t *testing.T) {
	w, agent := crowded(t, 3500)
	came, pages := make(chan struct{}), make(chan int, 8)
	w.service.Store = &pagedStore{Store: w.store, before: func(page int) error {
		if page == 4 {
			<-came
		}
		pages <- page
		return nil
	}}
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/v1/agents/"+agent+"/export", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.keys["platform"])
	resp, err := noRedirects.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := make([]byte, 100_000)
	if _, err := io.ReadFull(resp.Body, head); err != nil {
		t.Fatal(err)
	}
	close(came)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e exported
	if err := json.Unmarshal(append(head, rest...), &e); err != nil || !e.Complete || len(e.Missions[0].Positions) != 3500 || len(pages) != 4 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

// Erasing over the API: the receipt has counts, and the agent is as one who
// never was.
func TestErase(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	agent, token := w.agentOf(id), w.agentToken(id)
	w.ping(id, at(48.84, 2.41), at(48.85, 2.41))
	path := "/v1/agents/" + agent
	a := w.call("POST", path+"/erase", "platform", "").want(409, "agent_on_duty")
	if !strings.Contains(a.text("detail"), id) {
		t.Errorf("the refusal does not say which mission: %s", a.body)
	}
	w.call("PATCH", "/v1/missions/"+id, "platform", `{"relieve_agents":["`+agent+`"]}`).want(200, "")
	w.call("POST", path+"/erase", "platform", `{"reason":"`+strings.Repeat("x", 301)+`"}`).want(422, "invalid:reason")
	w.call("POST", path+"/erase", "platform", `{"reason":"x"}`).want(422, "invalid:reason")
	w.call("POST", path+"/erase", "platform", `{"why":"x"}`).want(422, "invalid:why")
	receipt := w.call("POST", path+"/erase", "platform", `{"reason":"asked by the agent"}`).want(200, "").json()
	wantKeys(t, "receipt", receipt, "erased_at kept receipt removed")
	wantKeys(t, "removed", receipt["removed"], "acknowledgements missions positions refusal_counts")
	wantKeys(t, "kept", first(t, receipt["kept"]), "what why")
	if got := receipt["removed"].(map[string]any); got["positions"] != 2.0 || got["missions"] != 1.0 || receipt["receipt"] != 1.0 {
		t.Errorf("receipt %v", receipt)
	}
	w.call("GET", path+"/export", "platform", "").want(404, "not_found")
	w.call("GET", path+"/export", token, "").want(401, "token_revoked")
	w.call("POST", path+"/erase", "platform", "").want(404, "not_found")
	for _, part := range []string{"", "/track", "/report", "/progress"} {
		if a := w.call("GET", "/v1/missions/"+id+part, "platform", "").want(200, ""); strings.Contains(string(a.body), agent) {
			t.Errorf("%s names the agent: %s", part, a.body)
		}
	}
	if n := len(w.call("GET", "/v1/missions/"+id, "platform", "").json()["agents"].([]any)); n != 2 {
		t.Errorf("%d agents in the record", n)
	}
	if list := w.call("GET", "/v1/missions?agent="+agent, "platform", "").want(200, "").json()["items"].([]any); len(list) != 0 {
		t.Errorf("missions of the agent %v", list)
	}
	if got := w.accessLog("agent="+agent, "auditor"); len(got) != 0 {
		t.Errorf("by the name the access log tells %v", got)
	}
	if got := w.accessLog("pseudonym="+w.service.Pseudonym("acme", agent), "auditor"); !slices.Contains(got, "agent.relieve") {
		t.Errorf("the access log has %v; this tests nothing", got)
	}
	w.call("GET", path+"/ledger", "platform", "").want(404, "not_found")
	if strings.Contains(w.log.String(), agent) {
		t.Error("the log names the agent")
	}
}

// deadlined is a connection that remembers until when a chunk may take.
type deadlined struct {
	*httptest.ResponseRecorder
	until []time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.until = append(d.until, t)
	return nil
}

// No time limit of a request cuts a long export, as long as it goes on: chunk by
// chunk the store and the reader are given their time. If the store stalls, it is
// broken off.
func TestExportTakesItsTime(t *testing.T) {
	w, agent := crowded(t, 5500)
	run := func(pause time.Duration) (out *deadlined, took time.Duration, broken any) {
		synctest.Test(t, func(t *testing.T) {
			w.service.Store = &pagedStore{Store: w.store, before: func(int) error {
				<-time.After(pause)
				return nil
			}}
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/agents/"+agent+"/export", http.NoBody)
			req.Header.Set("Authorization", "Bearer "+w.keys["platform"])
			out = &deadlined{ResponseRecorder: httptest.NewRecorder()}
			start := time.Now()
			defer func() {
				broken, took = recover(), time.Since(start)
				for i, until := range out.until {
					if until.Before(start.Add(30*time.Second)) || i > 0 && until.Before(out.until[i-1]) {
						t.Errorf("chunk %d may take until %v after the start", i, until.Sub(start))
					}
				}
			}()
			w.http.Config.Handler.ServeHTTP(out, req)
		})
		return out, took, broken
	}
	out, took, broken := run(14 * time.Second)
	var e exported
	if err := json.Unmarshal(out.Body.Bytes(), &e); err != nil || broken != nil || !e.Complete || len(e.Missions[0].Positions) != 5500 {
		t.Errorf("a slow store: %v, %v, %d bytes", broken, err, out.Body.Len())
	}
	if took < 80*time.Second || len(out.until) < 10 {
		t.Errorf("it took %v, in %d chunks; this tests nothing", took, len(out.until))
	}
	if out, _, _ := run(16 * time.Second); out.Code != http.StatusServiceUnavailable {
		t.Errorf("a store that stalls: %d %s", out.Code, out.Body.Bytes())
	}
}
