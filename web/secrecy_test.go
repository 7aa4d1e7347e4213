package web_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ronde/session"
	"ronde/web"
)

// I5, P14: tokens, names and places go through every way of asking, good and
// bad, and are looked for in the log and in the refusals.
func TestNothingSecretIsLoggedOrEchoed(t *testing.T) {
	w := newWorld(t)
	const canaryAgent, canaryText = "canary-agent-4711", "canary reference"
	body := strings.NewReplacer("badge-17", canaryAgent, "M-1", canaryText, "48.84,", "48.8412377,").Replace(aMission)
	created := w.call("POST", "/v1/missions", "platform", body).want(201, "")
	id := created.text("id")
	agent := w.call("POST", "/v1/missions/"+id+"/agents/"+canaryAgent+"/token", "platform", "").want(201, "").text("token")
	link, viewer := w.link(id)
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	w.ping(id, at(48.8412377, 2.4112377))
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "")
	w.call("GET", "/v1/missions/"+id+"/progress", "platform", "").want(200, "")

	secrets := []string{agent, viewer, canaryAgent, canaryText, "8412377", "4112377"}
	for _, name := range keyNames {
		secrets = append(secrets, w.keys[name], strings.SplitN(w.keys[name], "_", 3)[2])
	}
	for _, token := range []string{agent, viewer} {
		secrets = append(secrets, strings.Split(token, ".")[2]) // the signature alone
	}

	var refusals []*answer
	for _, secret := range secrets {
		for _, key := range []string{secret, secret + "x", "auditor", "platform"} {
			for _, path := range []string{"/v1/missions/" + secret, "/" + secret, "/v1/missions?" + secret + "=" + secret, "/v1/missions?cursor=" + secret, "/v1//" + secret, "/v1/links/" + secret} {
				path = strings.ReplaceAll(path, " ", "%20")
				refusals = append(refusals, w.call("GET", path, key, ""), w.call("DELETE", path, key, ""))
			}
			for _, body := range []string{secret, `"` + secret + `"`, `{"` + secret + `":1}`, `{"reference":{"` + secret + `":1}}`, `{"agents":"` + secret + `"}`, `{"starts_at":"` + secret + `"}`, `{"x":"` + secret} {
				refusals = append(refusals, w.call("POST", "/v1/missions", key, body))
			}
			refusals = append(refusals,
				w.call("POST", "/v1/missions/"+id+"/links", key, `{"profile":"`+secret+`"}`),
				w.call("GET", "/v1/live", "", "", append(w.shake(web.LiveSocket), "Sec-WebSocket-Protocol", "bearer."+secret, "Sec-WebSocket-Protocol", "bearer."+secret)...),
				w.call("GET", "/v1/live", "", "", append(w.shake(web.LiveSocket), "Origin", "https://"+strings.ReplaceAll(secret, " ", ""))...),
				w.call("GET", "/v1/live/events", key, "", "X-Request-Id", strings.ReplaceAll(secret, " ", ""), "User-Agent", secret, "Referer", secret, "X-Forwarded-For", secret),
				w.call("GET", "/v1/agent", key, "", w.shake(web.AgentSocket)...),
			)
		}
		if strings.Trim(secret, "abcdefghijklmnopqrstuvwxyz234567-") == "" {
			refusals = append(refusals, w.call(strings.ToUpper(secret), "/v1/missions", "platform", ""))
		}
	}
	w.call("DELETE", "/v1/links/"+link, "platform", "").want(200, "")
	log := w.log.String()
	if n := strings.Count(log, `"msg":"request"`); n < len(refusals) {
		t.Fatalf("%d requests logged of %d", n, len(refusals))
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, strings.ToUpper(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if i := strings.Index(log, form); i >= 0 {
				t.Errorf("the log has %q: …%s…", form, log[max(0, i-200):min(len(log), i+100)])
			}
		}
		for _, a := range refusals {
			// A member of that name is told by its name, if it can be one of ours at all.
			if a.status >= 400 && len(secret) > 40 && (strings.Contains(string(a.body), secret) || strings.Contains(fmt.Sprint(a.header), secret)) {
				t.Errorf("a refusal has the secret %q: %v %s", secret, a.header, a.body)
			}
		}
	}
	t.Logf("%d requests, %d bytes of log", len(refusals), len(log))
}

func TestRequestLog(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	a := w.call("GET", "/v1/missions/"+id, "platform", "").want(200, "")
	var line map[string]any
	for text := range strings.Lines(w.log.String()) {
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
	}
	wantKeys(t, "log line", line, "bytes duration level method msg request_id route status time")
	if line["route"] != "/v1/missions/{id}" || line["method"] != "GET" || line["status"] != 200.0 || line["bytes"] != float64(len(a.body)) || line["request_id"] != a.header.Get("X-Request-Id") {
		t.Errorf("logged %v", line)
	}
	if a.header.Get("X-Request-Id") == "" || a.header.Get("X-Request-Id") == w.call("GET", "/live", "", "", "X-Request-Id", "mine").header.Get("X-Request-Id") {
		t.Error("request ids are not of their own")
	}
}

// P46 as far as headers go: on every answer, whatever it is.
func TestSecurityHeaders(t *testing.T) {
	for public, hsts := range map[string]string{"http://ronde.example": "", "https://ronde.example": "max-age=31536000"} {
		w := newWorld(t, func(o *web.Options) { o.PublicURL = public })
		for _, a := range []*answer{
			w.call("GET", "/", "", ""), w.call("GET", "/v1/openapi.json", "", ""),
			w.call("POST", "/v1/missions", "platform", aMission), w.call("GET", "/v1/missions", "", ""), w.call("GET", "/nowhere", "", ""),
			w.call("POST", "/live", "", ""), w.call("GET", "/v1/live", "", ""), w.call("GET", "/v1/agent", "", "", w.shake(web.AgentSocket)...),
		} {
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": hsts,
				"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%d: %s is %q, want %q", a.status, name, got, want)
				}
			}
			if a.header.Get("Server") != "" || a.header.Get("X-Powered-By") != "" || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%d: headers say too much: %v", a.status, a.header)
			}
		}
	}
}

func TestPanicsBecomeProblems(t *testing.T) {
	const canary = "canary-48.8412377"
	handlers := map[string]func(w http.ResponseWriter, r *http.Request){
		"text":    func(http.ResponseWriter, *http.Request) { panic(canary) },
		"error":   func(http.ResponseWriter, *http.Request) { panic(errors.New(canary)) },
		"runtime": func(_ http.ResponseWriter, r *http.Request) { _ = r.Header.Values(canary)[len(canary)] },
	}
	for name, h := range handlers {
		w := newWorld(t, func(o *web.Options) { o.AgentSocket = http.HandlerFunc(h) })
		a := w.call("GET", "/v1/agent?x="+canary, canary, "", append(w.shake(web.AgentSocket), "X-Canary", canary)...).want(500, "internal")
		if strings.Contains(string(a.body), canary) || strings.Contains(string(a.body), "goroutine") {
			t.Errorf("%s: answered %s", name, a.body)
		}
		log := w.log.String()
		if strings.Contains(log, canary) {
			t.Errorf("%s: the log has what was sent: %s", name, log)
		}
		if !strings.Contains(log, "handler panicked") || !strings.Contains(log, "TestPanicsBecomeProblems") || !strings.Contains(log, `"status":500`) {
			t.Errorf("%s: the log does not say where: %s", name, log)
		}
		w.call("GET", "/live", "", "").want(200, "")
	}
}

// Half an answer must not look like a whole one.
func TestPanicInTheMiddle(t *testing.T) {
	w := newWorld(t, func(o *web.Options) {
		o.AgentSocket = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte("half"))
			_ = http.NewResponseController(rw).Flush()
			panic("x")
		})
	})
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/v1/agent", nil)
	if err != nil {
		t.Fatal(err)
	}
	shake := w.shake(web.AgentSocket)
	for i := 0; i < len(shake); i += 2 {
		req.Header.Set(shake[i], shake[i+1])
	}
	resp, err := noRedirects.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b := make([]byte, 100)
	for err == nil {
		_, err = resp.Body.Read(b)
	}
	if err.Error() == "EOF" {
		t.Error("the answer ended as if it were whole")
	}
}

// What fails inside is logged, and not told.
func TestFailuresAreNotTold(t *testing.T) {
	w := newWorld(t)
	store := &failingStore{Store: w.store, err: errors.New("disk on fire at 10.0.0.7")}
	w.service.Store = store
	a := w.call("GET", "/v1/missions", "platform", "").want(500, "internal")
	if strings.Contains(string(a.body), "fire") || !strings.Contains(w.log.String(), "disk on fire") {
		t.Errorf("answered %s", a.body)
	}
	store.err = fmt.Errorf("%w: %w", session.ErrUnavailable, errors.New("dial 10.0.0.7"))
	a = w.call("GET", "/v1/missions", "platform", "").want(503, "store_unavailable")
	if strings.Contains(string(a.body), "10.0") || a.header.Get("Retry-After") == "" || !strings.Contains(w.log.String(), "dial 10.0.0.7") {
		t.Errorf("answered %s %v", a.body, a.header)
	}
}

func TestUnknownRoutes(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/x", "/v1", "/v1/", "/v1/missions/", "//", "/v1//missions", "/v1/missions/../missions", "/live/", "/live/x", "/index.html",
		"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/docs/", "/docs.html", "/openapi.json", "/v1/openapi.yaml", "/schemas/Mission.json", "/v1/%6dissions/x/y",
		"/v1/missions/%2e%2e/missions", "/.git/config", "/v1/live/events/", "/%00",
	} {
		a := w.call("GET", path, "platform", "").want(404, "not_found")
		if a.header.Get("Location") != "" {
			t.Errorf("%s redirects", path)
		}
	}
	for path, allow := range map[string]string{"/v1/missions": "GET, HEAD, POST", "/live": "GET, HEAD", "/v1/notice": "GET, HEAD, PUT", "/v1/links/x": "DELETE"} {
		for _, method := range []string{"TRACE", "OPTIONS", "PROPFIND"} {
			if a := w.call(method, path, "platform", "").want(405, "method_not_allowed"); a.header.Get("Allow") != allow {
				t.Errorf("%s %s allows %q, want %q", method, path, a.header.Get("Allow"), allow)
			}
		}
	}
}
