package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kong"

	"ronde/geo"
)

// parseSimulate parses the flags as ronde simulate does.
func parseSimulate(t *testing.T, args ...string) (*simulateCmd, error) {
	t.Helper()
	var c struct {
		Simulate simulateCmd `cmd:"" help:"…"`
	}
	parser, err := kong.New(&c, kong.Name("ronde"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"simulate"}, args...))
	return &c.Simulate, err
}

func TestSimulateFlags(t *testing.T) {
	cmd, err := parseSimulate(t, "--token", "a", "--token=b", "--center=-33.9,18.4", "--radius", "120", "--seed", "7", "--speed", "2.5",
		"--offline", "30s-90s", "--offline", "5m-6m", "--begin", "--end", "--loop", "--duration", "2h", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.check(); err != nil {
		t.Error(err)
	}
	o := cmd.options()
	if !slices.Equal(cmd.Token, []string{"a", "b"}) || *cmd.Center != (latLon{Latitude: -33.9, Longitude: 18.4}) || cmd.Radius != 120 ||
		cmd.Seed != 7 || o.Speed != 2.5 || !o.Begin || !o.End || !o.Loop || o.Duration != 2*time.Hour || !cmd.JSON || o.Acknowledge ||
		!slices.Equal(o.Offline, []span{{30 * time.Second, 90 * time.Second}, {5 * time.Minute, 6 * time.Minute}}) {
		t.Errorf("%+v", cmd)
	}
	cmd, err = parseSimulate(t)
	if err != nil || cmd.URL != "http://127.0.0.1:8080" || cmd.Speed != 1 || cmd.Approach != 150 || cmd.check() != nil {
		t.Errorf("the defaults are %+v, %v", cmd, err)
	}
}

func TestSimulateRefusesFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--speed", "0"}, {"--speed=-1"}, {"--speed", "NaN"}, {"--speed", "1e9"},
		{"--url", "127.0.0.1:8080"}, {"--url", "ftp://a"}, {"--url", "http://"}, {"--url", "http://a?token=b"}, {"--url", "http://u:p@a"},
		{"--radius=-1"}, {"--radius", "NaN"}, {"--approach=-1"}, {"--duration=-1s"},
		{"--center", "48"}, {"--center", "91,0"}, {"--center", "a,b"}, {"--center", "NaN,1"},
		{"--offline", "30s"}, {"--offline", "90s-30s"}, {"--offline", "30s-30s"}, {"--offline", "x-y"},
	} {
		cmd, err := parseSimulate(t, args...)
		if err == nil {
			err = cmd.check()
		}
		if err == nil {
			t.Errorf("%q are taken", args)
		}
	}
}

func TestSimulateTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("# agents\n a \n\nb\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RONDE_TOKEN", "from-environment")
	stdin := strings.NewReader("c\nd")
	for want, args := range map[string][]string{
		"[from-environment]":     nil,
		"[x]":                    {"--token", "x"},
		"[x a b]":                {"--token", "x", "--token-file", file},
		"[from-environment c d]": {"--token-file", "-"},
	} {
		cmd, err := parseSimulate(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := cmd.tokens(stdin)
		if err != nil || fmt.Sprint(tokens) != want {
			t.Errorf("%q: %v, %v, want %v", args, tokens, err, want)
		}
	}
	t.Setenv("RONDE_TOKEN", "")
	for _, args := range [][]string{nil, {"--token-file", file + ".not"}} {
		cmd, err := parseSimulate(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if tokens, err := cmd.tokens(stdin); err == nil {
			t.Errorf("%q: %v", args, tokens)
		}
	}
}

func TestSimulateRecordings(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.gpx": gpxBare, "b.gpx": gpx11, "empty.gpx": "<gpx></gpx>", "bad.gpx": "<gpx>"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := simulateCmd{GPX: []string{filepath.Join(dir, "a.gpx"), filepath.Join(dir, "b.gpx")}}
	recordings, err := cmd.recordings()
	if err != nil {
		t.Fatal(err)
	}
	for agent, want := range []int{2, 1, 2} { // in turn
		walk, err := cmd.source(agent, recordings)(serverFrame{})
		if err != nil || len(walk(0)) != want || len(walk(5)) != want {
			t.Errorf("agent %d has %d points, %v", agent, len(walk(0)), err)
		}
	}
	for _, name := range []string{"empty.gpx", "bad.gpx", "none.gpx"} {
		cmd.GPX = []string{filepath.Join(dir, name)}
		if _, err := cmd.recordings(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

// Without coordinates on the command line, the round is at the mission's site.
func TestSimulateRoundAtTheSite(t *testing.T) {
	site, err := decodeServerFrame([]byte(helloText("active", "on")))
	if err != nil {
		t.Fatal(err)
	}
	there := geo.Point{Latitude: 48.84, Longitude: 2.41}
	r, err := (&simulateCmd{Seed: 3}).roundAt(site.Mission.Site)
	if err != nil || r.Center != there || r.Radius != 60 || r.Seed != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = (&simulateCmd{Center: &latLon{Latitude: 1, Longitude: 2}}).roundAt(site.Mission.Site)
	if err != nil || r.Center != (geo.Point{Latitude: 1, Longitude: 2}) || r.Radius != 80 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := json.Unmarshal([]byte(`{"area":{"type":"Polygon","coordinates":[[[2.41,48.84],[2.411,48.84],[2.411,48.841],[2.41,48.841],[2.41,48.84]]]}}`), &site.Mission.Site); err != nil {
		t.Fatal(err)
	}
	site.Mission.Site.Point = nil
	r, err = (&simulateCmd{}).roundAt(site.Mission.Site)
	if area := geo.NewAreaSite("", site.Mission.Site.Area); err != nil || r.Radius < 30 || r.Radius > 37 || area.ToBorder(r.Center) > -r.Radius {
		t.Errorf("in an area of 73 by 111 m: %+v, %v", r, err)
	}
	if _, err = (&simulateCmd{}).roundAt(helloSite{}); err == nil {
		t.Error("a round is nowhere")
	}
}

// A whole simulation of three agents, and what it prints.
func TestSimulation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObliging(t, "active")
		sim := simulation{began: time.Now()}
		for i, source := range []func(serverFrame) (track, error){
			still(recording(0, 1, -1)), still(recording(0, 5)),
			func(serverFrame) (track, error) { return nil, errors.New("no way") },
		} {
			p := newPhone(phoneConfig{URL: "http://ronde.test", Token: fmt.Sprint("secret", i), Client: o.peer.client})
			sim.replays = append(sim.replays, newReplay(p, source, replayOptions{}))
		}
		var progress bytes.Buffer
		sim.run(context.Background(), &progress)
		if progress.Len() > 0 {
			t.Errorf("progress on what is no terminal: %q", progress.String())
		}
		if line := sim.progress(); !strings.Contains(line, "3 of 3 connected  4 sent  4 acked  0 refused  0 waiting") {
			t.Errorf("progress is %q", line)
		}
		report := sim.report()
		if err := report.verdict(); err == nil || err.Error() != "agent 3: no way" {
			t.Errorf("the verdict is %v", err)
		}
		for _, asJSON := range []bool{true, false} {
			var out bytes.Buffer
			if err := report.print(streams{out: &out}, asJSON); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "secret") {
				t.Errorf("the report has a token: %s", out.String())
			}
			if asJSON {
				checkJSONReport(t, out.Bytes())
			} else if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, "sent 4 acked 4 refused 0 unanswered 0 never sent 0 skipped 1 no_time 1") {
				t.Errorf("the report is %s", out.String())
			}
		}
	})
}

// The command itself, over a real socket.
func TestSimulateCommand(t *testing.T) {
	o := newObliging(t, "scheduled")
	server := httptest.NewServer(http.HandlerFunc(o.peer.serve))
	defer server.Close()
	cmd, err := parseSimulate(t, "--url", server.URL, "--token", "a", "--speed", "10000", "--begin", "--end", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if err := cmd.Run(t.Context(), streams{strings.NewReader(""), &out, &errs}); err != nil {
		t.Fatal(err)
	}
	got, controls := o.got()
	var report simulationReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Total.Sent == 0 || report.Total.Sent != uint64(len(got)) ||
		report.Total.Acked != report.Total.Sent || !slices.Equal(controls, []string{"begin", "end"}) || errs.Len() > 0 {
		t.Errorf("%d pings and %v came, the report is %s%s, %v", len(got), controls, &out, &errs, err)
	}

	for _, args := range [][]string{{"--token", "a", "--speed", "0"}, {}} {
		cmd, err := parseSimulate(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Run(t.Context(), streams{strings.NewReader(""), &out, &errs}); !errors.As(err, new(usageError)) {
			t.Errorf("%q gives %v", args, err)
		}
	}
}

func TestSimulationProgress(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // as good as one
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	synctest.Test(t, func(t *testing.T) {
		o := newObliging(t, "active")
		o.peer.refuse = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
		p := newPhone(phoneConfig{URL: "http://ronde.test", Token: "secret", Client: o.peer.client})
		sim := simulation{began: time.Now(), replays: []*replay{newReplay(p, still(nil), replayOptions{})}}
		sim.run(context.Background(), terminal)
		if line := sim.progress(); !strings.Contains(line, "0 of 1 connected") || !strings.Contains(line, "503") || len(line) > 150 {
			t.Errorf("progress is %q", line)
		}
	})
}

func checkJSONReport(t *testing.T, data []byte) {
	t.Helper()
	var report struct {
		Seconds float64
		Total   struct {
			Sent, Acked, Unanswered, Reconnects *int
			Refused, Skipped                    map[string]int
		}
		Agents []struct {
			Agent   int
			Mission string
			Sent    int
			Error   string
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	total := report.Total
	if *total.Sent != 4 || *total.Acked != 4 || *total.Unanswered != 0 || *total.Reconnects != 0 || total.Refused == nil || total.Skipped["no_time"] != 1 {
		t.Errorf("the total is %s", data)
	}
	if len(report.Agents) != 3 || report.Agents[1].Agent != 2 || report.Agents[1].Mission != "m1" || report.Agents[2].Error != "no way" || report.Seconds < 5 {
		t.Errorf("the agents are %s", data)
	}
}

func TestSimulationVerdict(t *testing.T) {
	lost, kept := simulationReport{Total: newTotal()}, simulationReport{Total: newTotal()}
	if err := lost.verdict(); err != nil {
		t.Errorf("nothing lost gives %v", err)
	}
	lost.Total.Unanswered, kept.Total.Unsent = 2, 3
	if lost.verdict() == nil || kept.verdict() == nil {
		t.Error("positions are lost, and nobody says so")
	}
}

func TestMergedSpans(t *testing.T) {
	got := merged([]span{{50, 60}, {10, 20}, {20, 30}, {15, 18}, {55, 58}})
	if want := []span{{10, 30}, {50, 60}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
