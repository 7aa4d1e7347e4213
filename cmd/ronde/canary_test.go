package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ronde/session/postgres/pgtest"
)

// The canary: a place that appears nowhere else, and that no cell or site is at.
const (
	canaryLatitude  = 48.8613579
	canaryLongitude = 2.3517246
)

// needle is one form in which a secret might lie about.
type needle struct {
	name  string
	bytes []byte
}

// coordinateNeedles are the forms in which a program is likely to write the canary down: as text in the precision of
// the wire and shorter, as integers of a ten-millionth of a degree, as floating point; in either byte order. Forms of
// four bytes are searched for as pairs: alone they would be found by chance.
func coordinateNeedles() (all []needle) {
	scaled := func(v float64) uint32 { return uint32(int32(math.Round(v * 1e7))) }
	single := func(v float64) uint32 { return math.Float32bits(float32(v)) }
	for name, v := range map[string]float64{"latitude": canaryLatitude, "longitude": canaryLongitude} {
		all = append(all,
			needle{name + " as text", fmt.Appendf(nil, "%.5f", math.Trunc(v*1e5)/1e5)},
			needle{name + " as digits", fmt.Appendf(nil, "%d", scaled(v))})
	}
	for order, bo := range map[string]binary.AppendByteOrder{"big": binary.BigEndian, "little": binary.LittleEndian} {
		for name, v := range map[string]float64{"latitude": canaryLatitude, "longitude": canaryLongitude} {
			all = append(all,
				needle{name + " as int64, " + order, bo.AppendUint64(nil, uint64(scaled(v)))},
				needle{name + " as float64, " + order, bo.AppendUint64(nil, math.Float64bits(v))})
		}
		for name, form := range map[string]func(float64) uint32{"int32": scaled, "float32": single} {
			pair := bo.AppendUint32(bo.AppendUint32(nil, form(canaryLatitude)), form(canaryLongitude))
			reverse := bo.AppendUint32(bo.AppendUint32(nil, form(canaryLongitude)), form(canaryLatitude))
			all = append(all, needle{"pair of " + name + ", " + order, pair}, needle{"reverse pair of " + name + ", " + order, reverse})
		}
	}
	return all
}

// TestCanaryLeavesNoTrace sends a canary coordinate and canary tokens through a whole run, with good and bad requests,
// and then searches everything the run wrote: database files with WAL, keyring, logs, metrics (I5).
func TestCanaryLeavesNoTrace(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startApp(t, store)
		now := time.Now()
		mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
		agent, link := a.agentToken(mission), a.link(mission, "exact")
		needles := append(coordinateNeedles(),
			needle{"agent token", []byte(agent[len(agent)-40:])}, needle{"link", []byte(link[len(link)-40:])}, needle{"API key", []byte(a.key[len(a.key)-40:])})
		runCanary(a, mission, agent, link)

		places := map[string][]byte{"log": []byte(a.log.String()), "metrics": a.metrics()}
		if !bytes.Contains(places["metrics"], []byte(`ronde_pings_total{outcome="stored"}`)) || !strings.Contains(string(places["log"]), "/v1/") {
			t.Fatal("the run left no metrics or no log: the search would find nothing in them")
		}
		folders := []string{a.config.Data}
		if store == "postgres" {
			folders = append(folders, pgtest.Start(t).DataDir)
			execSQL(t, a.config.Store, `CHECKPOINT`)
		}
		for _, folder := range folders {
			readFolder(t, folder, places)
		}
		searched := 0
		for place, content := range places {
			searched += len(content)
			for _, n := range needles {
				if bytes.Contains(content, n.bytes) {
					t.Errorf("%s found in %s", n.name, place)
				}
			}
		}
		t.Logf("searched %d places, %d bytes, for %d needles", len(places), searched, len(needles))
	})
}

// runCanary does with the canary whatever a phone and a viewer might, well and badly.
func runCanary(a *testApp, mission, agent, link string) {
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	phone := a.socket("/v1/agent", "ronde.agent.v1", agent)
	phone.until("hello")
	viewer := a.socket("/v1/live", "ronde.live.v1", link)
	viewer.until("snapshot")
	canary := func(seq int, at time.Time) object {
		return object{"seq": seq, "timestamp": at.UnixMilli(), "latitude": canaryLatitude, "longitude": canaryLongitude, "accuracy": 5}
	}
	now := time.Now()
	phone.send(object{"type": "pings", "pings": []object{canary(1, now), canary(2, now), canary(3, now.Add(-time.Hour)), canary(4, now.Add(time.Hour))}})
	phone.until("ack")
	viewer.until("progress")
	phone.send(object{"type": "pings", "pings": "48.8613579", "latitude": canaryLatitude, "longitude": canaryLongitude})
	phone.until("error")
	phone.send(object{"type": "no such " + agent, "latitude": canaryLatitude})
	phone.until("error")
	phone.send(object{"type": "pause"})
	phone.until("state")
	phone.send(object{"type": "pings", "pings": []object{canary(5, time.Now())}})
	phone.until("refused")
	for _, token := range []string{agent, link, a.key, a.key + "x"} { // each where it does not belong
		for _, path := range []string{"/v1/missions/" + mission, "/v1/live/events", "/v1/agent", "/no/such/" + token, "/v1/missions?limit=x&token=" + token} {
			req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.config.PublicURL+path, nil)
			check(a.t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Referer", a.config.PublicURL+"/live#"+token)
			resp, err := http.DefaultClient.Do(req)
			check(a.t, err)
			if path != "/v1/live/events" || resp.StatusCode != http.StatusOK { // a stream goes on
				_, err = io.Copy(io.Discard, resp.Body)
				check(a.t, err)
			}
			check(a.t, resp.Body.Close())
		}
	}
	if items := a.track(mission); len(items) != 1 {
		a.t.Fatalf("%d positions stored", len(items))
	}
	a.call(200, "GET", "/v1/missions/"+mission+"/progress", nil)
	a.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
}

func (a *testApp) metrics() []byte {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, "http://"+a.ops.Addr().String()+"/metrics", nil)
	check(a.t, err)
	resp, err := http.DefaultClient.Do(req)
	check(a.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(a.t, err)
	return body
}

// readFolder adds every file below a folder to places. Files that a database removes meanwhile are passed over.
func readFolder(t *testing.T, folder string, places map[string][]byte) {
	t.Helper()
	check(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			places[path], err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
}
