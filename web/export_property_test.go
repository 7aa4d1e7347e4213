package web_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/sqlite"
	"ronde/web"
)

// exporting is a server on a store of either kind.
type exporting struct {
	store   session.Store
	service *session.Service
	url     string
	key     string
}

// eachStore calls do with a server on each database.
func eachStore(t *testing.T, do func(t *testing.T, x *exporting)) {
	start := func(t *testing.T, store session.Store) *exporting {
		t.Helper()
		t.Cleanup(func() { _ = store.Close() })
		root := session.NewRootSecret()
		ring, err := keyring.OpenFolder(filepath.Join(t.TempDir(), "keys"), root)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ring.Close() })
		log := slog.New(slog.DiscardHandler)
		x := &exporting{store: store, service: &session.Service{
			Store: store, Sealer: session.NewSealer(root, ring), Tokens: session.NewTokens(ring, time.Now), Log: log,
		}}
		server := httptest.NewUnstartedServer(nil)
		x.url = "http://" + server.Listener.Addr().String()
		server.Config = web.NewHTTPServer(web.New(web.Options{Service: x.service, PublicURL: x.url, Log: log}), log)
		server.Start()
		t.Cleanup(server.Close)
		k, printed, err := session.NewAPIKey("acme", session.Platform, "")
		if err == nil {
			err = store.EnsureTenant(t.Context(), "acme")
		}
		if err == nil {
			err = store.CreateAPIKey(t.Context(), k)
		}
		if err != nil {
			t.Fatal(err)
		}
		x.key = printed
		return x
	}
	t.Run("sqlite", func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ronde.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		do(t, start(t, store))
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := pgtest.Start(t).CreateDB(t)
		if err := postgres.Migrate(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
		store, err := postgres.Open(t.Context(), dsn, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, start(t, store))
	})
}

// aPosition draws one with whatever a phone may and may not know.
func aPosition(rt *rapid.T) geo.Position {
	p := geo.NewPosition(geo.Point{
		Latitude:  rapid.Float64Range(-90, 90).Draw(rt, "latitude"),
		Longitude: rapid.Float64Range(-180, 180).Draw(rt, "longitude"),
	})
	for _, m := range []struct {
		member   *float32
		min, max float32
	}{{&p.Accuracy, 0, 5000}, {&p.Altitude, -400, 9000}, {&p.Heading, 0, 359.9}, {&p.Speed, 0, 90}, {&p.Battery, 0, 1}} {
		if rapid.Bool().Draw(rt, "known") {
			*m.member = rapid.Float32Range(m.min, m.max).Draw(rt, "value")
		}
	}
	p.Mock = rapid.Bool().Draw(rt, "mock")
	return p
}

// expectation is what an export must say of a position, as it is written.
func expectation(at int64, p *geo.Position, speed bool) map[string]any {
	number := func(v float32, keep bool) any {
		if !keep || !geo.Known(v) {
			return nil
		}
		return json.Number(shortest(v))
	}
	decimals := func(d float64) json.Number {
		return json.Number(strconv.FormatFloat(math.Round(d*1e7)/1e7+0, 'f', 7, 64))
	}
	ms := json.Number(itoa(at))
	return map[string]any{
		"timestamp": ms, "device_timestamp": ms, "latitude": decimals(p.Latitude), "longitude": decimals(p.Longitude),
		"accuracy": number(p.Accuracy, true), "altitude": number(p.Altitude, true), "heading": number(p.Heading, true),
		"battery": number(p.Battery, true), "speed": number(p.Speed, speed), "mock": p.Mock,
	}
}

// shortest returns the JSON of a float32.
func shortest(v float32) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// P39: export = stored set. Whatever was sent, over whichever windows: what the
// phone was told is stored is in the export, to the last digit, and nothing else.
func TestExportIsWhatIsStored(t *testing.T) {
	eachStore(t, func(t *testing.T, x *exporting) {
		rapid.Check(t, func(rt *rapid.T) { x.checkExport(t, rt) })
	})
}

func (x *exporting) checkExport(t *testing.T, rt *rapid.T) {
	ctx, p := t.Context(), &session.Principal{Role: session.Platform, Tenant: "acme"}
	must := func(err error) {
		if err != nil {
			rt.Fatal(err)
		}
	}
	agent := "agent-" + uuid.NewString()[:13]
	want := map[string][]map[string]any{}
	for range rapid.IntRange(1, 2).Draw(rt, "missions") {
		now, err := x.store.Now(ctx)
		must(err)
		m := &session.Mission{
			Reference: "M", Site: geo.Site{Name: "S", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
			StartsAt: now, EndsAt: now.Add(time.Hour), Overrun: time.Hour, Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: agent}, {ID: agent + "-2"}},
		}
		m.Policy.MinInterval, m.Policy.Speed = time.Millisecond, rapid.Bool().Draw(rt, "speed")
		must(x.service.CreateMission(ctx, p, m))
		list := []map[string]any{}
		do := func(a session.Action) {
			m, err = x.service.Do(ctx, p, m.ID, session.Command{Action: a})
			must(err)
		}
		do(session.Begin)
		_, err = x.service.Sealer.Key(ctx, m)
		must(err)
		for range rapid.IntRange(1, 3).Draw(rt, "windows") {
			opened := m.Agent(agent).Open().Opened.UnixMilli()
			n := rapid.IntRange(0, 5).Draw(rt, "pings")
			x.wait(rt, ctx, opened+int64(n)+1)
			for _, who := range []string{agent, agent + "-2"} {
				sub := &session.Submission{Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: who}
				for i := range n + 1 {
					// The first lies before the window, and is refused.
					sub.Pings = append(sub.Pings, session.Ping{Timestamp: opened + int64(i) - 1, Position: aPosition(rt)})
				}
				must(x.service.Append(ctx, []*session.Submission{sub}))
				for i, v := range sub.Verdicts {
					if v == session.Stored && who == agent {
						list = append(list, expectation(sub.Pings[i].Timestamp, &sub.Pings[i].Position, m.Policy.Speed))
					}
				}
			}
			do(session.Pause)
			do(session.Resume)
		}
		do(session.End)
		want[m.ID.String()] = list
	}
	x.compare(rt, ctx, agent, want)
}

// wait waits for the store's clock.
func (x *exporting) wait(rt *rapid.T, ctx context.Context, until int64) {
	for {
		now, err := x.store.Now(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		if now.UnixMilli() >= until {
			return
		}
	}
}

// compare exports the agent and holds it to what is wanted of each mission.
func (x *exporting) compare(rt *rapid.T, ctx context.Context, agent string, want map[string][]map[string]any) {
	req, err := http.NewRequestWithContext(ctx, "GET", x.url+"/v1/agents/"+agent+"/export", http.NoBody)
	if err != nil {
		rt.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+x.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		rt.Fatal(err)
	}
	defer resp.Body.Close()
	var e exported
	d := json.NewDecoder(resp.Body)
	d.UseNumber()
	if err := d.Decode(&e); err != nil || resp.StatusCode != http.StatusOK || len(e.Missions) != len(want) {
		rt.Fatalf("%d, %v, %d missions, want %d", resp.StatusCode, err, len(e.Missions), len(want))
	}
	for _, m := range e.Missions {
		list := want[m.Mission["id"].(string)]
		if !slices.EqualFunc(m.Positions, list, func(a, b map[string]any) bool { return maps.Equal(a, b) }) {
			rt.Errorf("exported\n%v\nwant\n%v", m.Positions, list)
		}
	}
}
