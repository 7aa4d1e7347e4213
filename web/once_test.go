package web_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/sqlite"
	"ronde/web"
)

const keyHeader = "Idempotency-Key"

// eachCreation calls test for every route that answers 201, with a good request
// to it.
func (w *world) eachCreation(test func(r *web.Route, s sample)) {
	w.t.Helper()
	n := 0
	for _, r := range web.Routes() {
		if r.Status == 201 {
			test(&r, w.sample(r.Name))
			n++
		}
	}
	if n < 3 {
		w.t.Fatalf("%d creations", n)
	}
}

// made returns how many missions, and links to missions, there are.
func (w *world) made() (missions, links int) {
	w.t.Helper()
	ids := w.listed("limit=200", "platform")
	for _, id := range ids {
		links += len(w.call("GET", "/v1/missions/"+id+"/links", "platform", "").want(200, "").json()["items"].([]any))
	}
	return len(ids), links
}

// Whatever is created is created once, and answered byte for byte as the first
// time, whatever became of it meanwhile.
func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	w.eachCreation(func(route *web.Route, s sample) {
		once := w.call(route.Method, s.path, "platform", s.body, keyHeader, "k-1").want(201, "")
		missions, links := w.made()
		for _, id := range w.listed("state=scheduled&limit=200", "platform") {
			w.call("POST", "/v1/missions/"+id+"/cancel", "platform", "").want(200, "")
		}
		w.clock.Advance(time.Minute)
		twice := w.call(route.Method, s.path, "platform", s.body, keyHeader, "k-1").want(201, "")
		if string(twice.body) != string(once.body) || twice.header.Get("Content-Type") != once.header.Get("Content-Type") {
			t.Errorf("%s: answered\n%s %s\nand then\n%s %s", route.Name, once.header.Get("Content-Type"), once.body, twice.header.Get("Content-Type"), twice.body)
		}
		if m, l := w.made(); m != missions || l != links {
			t.Errorf("%s: %d missions and %d links became %d and %d", route.Name, missions, links, m, l)
		}
	})
}

// P29: a key stands for one request.
func TestIdempotencyKeyWithAnotherBody(t *testing.T) {
	w := newWorld(t)
	links := "/v1/missions/" + w.mission() + "/links"
	w.call("POST", links, "platform", `{"label":"a \u00e9","trail":true,"max_viewers":3}`, keyHeader, "k").want(201, "")
	for _, same := range []string{`{"label":"a é","trail":true,"max_viewers":3}`, ` { "max_viewers":3, "trail":true , "label":"a \u00E9" } `} {
		w.call("POST", links, "platform", same, keyHeader, "k").want(201, "")
	}
	for _, other := range []string{`{"label":"a é","trail":true,"max_viewers":4}`, `{"label":"a é","max_viewers":3}`, `{}`, ""} {
		a := w.call("POST", links, "platform", other, keyHeader, "k").want(409, "idempotency_key_reused:"+keyHeader)
		if a.header.Get("Retry-After") != "" {
			t.Error("asks to try again what can never be")
		}
	}
	w.call("POST", links, "platform", "", keyHeader, "empty").want(201, "")
	w.call("POST", links, "platform", "{}", keyHeader, "empty").want(201, "")
	if _, n := w.made(); n != 2 {
		t.Errorf("%d links, want 2", n)
	}
	large := `{"expires_in_seconds":9007199254740993}` // as float64 it is …992
	w.call("POST", links, "platform", large, keyHeader, "large").want(201, "")
	w.call("POST", links, "platform", strings.Replace(large, "3}", "2}", 1), keyHeader, "large").want(409, "idempotency_key_reused")
}

// The same key of another caller, or on another path, is another key.
func TestIdempotencyKeysAreApart(t *testing.T) {
	w := newWorld(t)
	one, two := w.mission(), w.mission()
	ids := map[string]bool{}
	for _, c := range []struct{ key, path string }{
		{"platform", one}, {"operator", one}, {"platform", two},
	} {
		ids[w.call("POST", "/v1/missions/"+c.path+"/links", c.key, "", keyHeader, "k").want(201, "").text("id")] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d links of 3 callers and paths", len(ids))
	}
	body := w.fresh(aMission)
	own := w.call("POST", "/v1/missions", "platform", body, keyHeader, "k").want(201, "").text("id")
	foreign := w.call("POST", "/v1/missions", "foreign", body, keyHeader, "k").want(201, "").text("id")
	if own == foreign {
		t.Error("another tenant's mission is answered")
	}
	w.call("POST", "/v1/missions/"+one+"/links", "foreign", "", keyHeader, "k").want(404, "not_found")
	w.call("POST", "/v1/missions/"+one+"/begin", "platform", "", keyHeader, "k").want(200, "") // no creation: nothing to it
}

func TestIdempotencyKeyMalformed(t *testing.T) {
	w := newWorld(t)
	w.eachCreation(func(route *web.Route, s sample) {
		for _, key := range []string{" ", "a b", "é", "a\tb", strings.Repeat("k", 256)} {
			w.call(route.Method, s.path, "platform", s.body, keyHeader, key).want(422, "invalid:"+keyHeader)
			w.call(route.Method, s.path, "auditor", s.body, keyHeader, key).want(403, "forbidden")
		}
		w.call(route.Method, s.path, "platform", s.body, keyHeader, "a", keyHeader, "a").want(422, "invalid:"+keyHeader)
		w.call(route.Method, s.path, "platform", s.body, keyHeader, strings.Repeat("~", 255)).want(201, "")
		w.call(route.Method, s.path, "auditor", s.body, keyHeader, strings.Repeat("~", 255)).want(403, "forbidden")
		w.call(route.Method, s.path, "revoked", s.body, keyHeader, strings.Repeat("~", 255)).want(401, "token_revoked")
	})
}

// What was refused can be mended under the same key.
func TestIdempotencyKeyOfARefusal(t *testing.T) {
	w := newWorld(t)
	bad := strings.Replace(aMission, "2026-11-22T02:00:00", "2026-11-20T02:00:00", 1)
	for range 2 {
		w.call("POST", "/v1/missions", "platform", bad, keyHeader, "k").want(422, "invalid:ends_at")
	}
	id := w.call("POST", "/v1/missions", "platform", aMission, keyHeader, "k").want(201, "").text("id")
	if again := w.call("POST", "/v1/missions", "platform", aMission, keyHeader, "k").want(201, "").text("id"); again != id {
		t.Errorf("made %s and %s", id, again)
	}
	w.call("POST", "/v1/missions", "platform", bad, keyHeader, "k").want(409, "idempotency_key_reused")
}

func TestIdempotencyKeyLastsADay(t *testing.T) {
	w := newWorld(t)
	body := strings.NewReplacer("2026-11-21T20", "2026-11-23T20", "2026-11-22T02", "2026-11-24T02").Replace(aMission)
	create := func() string {
		t.Helper()
		return w.call("POST", "/v1/missions", "platform", body, keyHeader, "k").want(201, "").text("id")
	}
	id := create()
	w.clock.Advance(24*time.Hour - time.Millisecond)
	if again := create(); again != id {
		t.Error("forgotten within a day")
	}
	w.clock.Advance(time.Millisecond)
	if again := create(); again == id {
		t.Error("remembered beyond a day")
	}
}

// Many at once, through two nodes on one database: one is carried out, and all
// hear of it.
func TestIdempotencyKeyConcurrently(t *testing.T) {
	w := newWorld(t)
	nodes := []string{w.url, w.secondNode()}
	link := "/v1/missions/" + w.mission() + "/links"
	for path, body := range map[string]string{"/v1/missions": aMission, link: `{"label":"ünïcode <&> \u2028"}`} {
		const callers = 12
		answers := make([]*answer, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				answers[i] = w.callAt(nodes[i%2], "POST", path, "platform", body, keyHeader, "k")
			})
		}
		all.Wait()
		for _, a := range answers {
			a.want(201, "")
			if string(a.body) != string(answers[0].body) {
				t.Errorf("%s: answers differ:\n%s\n%s", path, a.body, answers[0].body)
			}
		}
		var made map[string]any
		if err := json.Unmarshal(answers[0].body, &made); err != nil {
			t.Fatal(err)
		}
	}
	if missions, links := w.made(); missions != 2 || links != 1 {
		t.Errorf("%d missions and %d links, want 2 and 1", missions, links)
	}
}

// A retry that looked for a receipt just before its original committed, and then
// finds the mission over, is answered as the original, not refused.
func TestIdempotencyKeyOvertaken(t *testing.T) {
	w := newWorld(t)
	other := w.secondNode()
	w.eachCreation(func(route *web.Route, s sample) {
		var first *answer
		w.service.Store = &failingStore{Store: w.store, meanwhile: func() {
			first = w.callAt(other, route.Method, s.path, "platform", s.body, keyHeader, "overtaken").want(201, "")
			for _, id := range w.listed("state=scheduled&limit=200", "platform") {
				w.call("POST", "/v1/missions/"+id+"/cancel", "platform", "").want(200, "")
			}
		}}
		second := w.call(route.Method, s.path, "platform", s.body, keyHeader, "overtaken").want(201, "")
		w.service.Store = w.store
		if string(second.body) != string(first.body) {
			t.Errorf("%s: answered\n%s\nand then\n%s", route.Name, first.body, second.body)
		}
	})
}

// secondNode starts another server on the world's database, with its own
// connections, and returns its address.
func (w *world) secondNode() string {
	w.t.Helper()
	store, err := sqlite.Open(w.t.Context(), w.path, w.clock.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = store.Close() })
	second := *w
	second.store = store
	second.serve()
	return second.url
}

// A store that fails is no reason to forget: the caller is told to ask again.
func TestIdempotencyKeyStoreDown(t *testing.T) {
	w := newWorld(t)
	w.service.Store = &failingStore{Store: w.store, receipts: session.ErrUnavailable}
	a := w.call("POST", "/v1/missions", "platform", aMission, keyHeader, "k").want(503, "store_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	w.service.Store = w.store
	if ids := w.listed("", "platform"); len(ids) != 0 {
		t.Errorf("created %v all the same", ids)
	}
}
