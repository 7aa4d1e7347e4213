package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/geo"
)

func at(latitude, longitude float64) geo.Position {
	p := geo.NewPosition(geo.Point{Latitude: latitude, Longitude: longitude})
	p.Accuracy = 6.5
	return p
}

func TestTrack(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	track := "/v1/missions/" + id + "/track"
	if body := string(w.call("GET", track, "platform", "").want(200, "").body); body != `{"items":[],"next_cursor":null}` {
		t.Errorf("before it began: %s", body)
	}
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	full := at(48.84660004, 2.4)
	full.Altitude, full.Heading, full.Speed, full.Battery, full.Mock = 61.2, 87.5, 1.4, 0.81, true
	w.ping(id, full, at(-0.1, 179.9999999), at(1e-7, -1e-7))

	a := w.call("GET", track+"?format=json", "platform", "").want(200, "")
	list := a.json()
	wantKeys(t, "track", list, "items next_cursor")
	const keys = "accuracy agent altitude battery heading latitude longitude mock timestamp"
	wantKeys(t, "position", first(t, list["items"]), keys)
	agent := w.agentOf(id)
	begin := theTime.UnixMilli()
	want := `{"items":[` +
		`{"agent":"` + agent + `","timestamp":` + itoa(begin) + `,"latitude":48.8466000,"longitude":2.4000000,"accuracy":6.5,"altitude":61.2,"heading":87.5,"battery":0.81,"mock":true},` +
		`{"agent":"` + agent + `","timestamp":` + itoa(begin+1000) + `,"latitude":-0.1000000,"longitude":179.9999999,"accuracy":6.5,"altitude":null,"heading":null,"battery":null,"mock":false},` +
		`{"agent":"` + agent + `","timestamp":` + itoa(begin+2000) + `,"latitude":0.0000001,"longitude":-0.0000001,"accuracy":6.5,"altitude":null,"heading":null,"battery":null,"mock":false}` +
		`],"next_cursor":null}`
	if string(a.body) != want {
		t.Errorf("track\n%s\nwant\n%s", a.body, want)
	}

	var got []string
	for cursor := ""; ; {
		page := w.call("GET", track+"?limit=1"+cursor, "platform", "").want(200, "").json()
		got = append(got, itoa(int64(first(t, page["items"])["timestamp"].(float64))))
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	if strings.Join(got, " ") != itoa(begin)+" "+itoa(begin+1000)+" "+itoa(begin+2000) {
		t.Errorf("pages %v", got)
	}
	for query, code := range map[string]string{
		"format=geojson": "invalid:format", "format=gpx": "invalid:format", "format=csv": "invalid:format", "format=JSON": "invalid:format",
		"limit=0": "invalid:limit", "limit=1001": "invalid:limit", "limit=1e2": "invalid:limit", "limit=9223372036854775808": "invalid:limit",
		"cursor=AAAA": "invalid:cursor", "cursor=AAAAAAAAAAAAAAAAAAAAAA": "invalid:cursor", "cursor=A%3D": "invalid:cursor",
		"cursor=AAAAAAAAAAAAAAAAAAAAAP8": "invalid:cursor", "from=1": "invalid:from",
		"cursor=AAAAAAAAAAAAAAAAAAAAAGEA": "invalid:cursor", // an agent with a NUL
		"cursor=f_________8AAAAAAAAAAGE":  "invalid:cursor", // the year 292 million
		"cursor=__________8AAAAAAAAAAGE":  "invalid:cursor", // before 1970
	} {
		w.call("GET", track+"?"+query, "platform", "").want(422, code)
	}
	w.call("POST", "/v1/missions/"+id+"/end", "platform", "").want(200, "")
	if again := w.call("GET", track, "platform", "").want(200, ""); string(again.body) != want {
		t.Errorf("after the end: %s", again.body)
	}
}

// P9: speed is shown only where the policy keeps it.
func TestTrackSpeed(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"policy":{"speed":true},"agents"`, 1)
	id := w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	fast := at(48.84, 2.41)
	fast.Speed = 1.4
	w.ping(id, fast, at(48.84, 2.41))
	items := w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "").json()["items"].([]any)
	const keys = "accuracy agent altitude battery heading latitude longitude mock speed timestamp"
	for i, want := range []any{1.4, nil} {
		wantKeys(t, "position", items[i], keys)
		if got := items[i].(map[string]any)["speed"]; got != want {
			t.Errorf("speed %v, want %v", got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	read := func() map[string]any {
		return w.call("GET", "/v1/missions/"+id+"/progress", "operator", "").want(200, "").json()
	}
	const agentKeys = "agent alias distance_m duty eta_lower_seconds eta_seconds eta_upper_seconds heading phase position signal timestamp"
	p := read()
	wantKeys(t, "progress", p, "agents mission")
	wantKeys(t, "mission", p["mission"], "ends_at id reference site starts_at state")
	wantKeys(t, "agent", first(t, p["agents"]), agentKeys)
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	w.ping(id, at(48.85, 2.41))
	w.clock.Advance(5 * time.Minute)
	w.ping(id, slices.Repeat([]geo.Position{at(48.84, 2.41)}, 12)...)
	a := first(t, read()["agents"])
	wantKeys(t, "agent", a, agentKeys)
	wantKeys(t, "position", a["position"], "accuracy latitude longitude")
	if a["phase"] != "on_site" || a["signal"] != "live" || a["duty"] != "on" || a["distance_m"] != 0.0 || a["timestamp"] != float64(theTime.Add(5*time.Minute+12*time.Second).UnixMilli()) {
		t.Errorf("on site: %v", a)
	}
	if n := len(read()["agents"].([]any)); n != 2 {
		t.Errorf("%d agents", n)
	}
	w.call("PATCH", "/v1/missions/"+id, "platform", `{"relieve_agents":["`+read()["agents"].([]any)[1].(map[string]any)["agent"].(string)+`"]}`).want(200, "")
	if n := len(read()["agents"].([]any)); n != 1 {
		t.Errorf("%d agents after one was relieved", n)
	}
	// I1: a pause, an end, leave nothing to see.
	for _, action := range []string{"pause", "end"} {
		w.call("POST", "/v1/missions/"+id+"/"+action, "platform", "").want(200, "")
		if a := first(t, read()["agents"]); a["position"] != nil || a["timestamp"] != nil || a["distance_m"] != nil || a["phase"] != nil {
			t.Errorf("after %s: %v", action, a)
		}
		w.clock.Advance(time.Second)
	}
}

// I7: what expired is gone, and says so.
func TestExpiredTrack(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	w.ping(id, at(48.84, 2.41))
	w.destroySalts()
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(410, "gone")
	w.call("GET", "/v1/missions/"+id+"/progress", "platform", "").want(410, "gone")
}
