package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/web"
)

func opsGet(t *testing.T, h http.Handler, path string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

func TestOpsMetricsAndProfiles(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "ronde_things_total", Help: "Things."})
	registry.MustRegister(counter)
	counter.Inc()
	ops := web.NewOps(web.OpsOptions{Gatherer: registry})
	status, h, body := opsGet(t, ops, "/metrics")
	if status != 200 || !strings.Contains(body, "ronde_things_total 1") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("/metrics: %d %s", status, body)
	}
	_, h, body = opsGet(t, ops, "/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(h.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("no OpenMetrics: %s %s", h.Get("Content-Type"), body)
	}
	for _, path := range []string{"/healthz", "/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline"} {
		if status, _, _ := opsGet(t, ops, path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _, _ := opsGet(t, ops, "/v1/missions"); status != 404 {
		t.Errorf("the API on the ops listener: %d", status)
	}
}

func TestReady(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	running := make(chan struct{}, 10)
	good := web.Check{Name: "store", Advice: "start PostgreSQL", Probe: func(context.Context) error { return nil }}
	checks := map[string]web.Check{
		"fails":  {Name: "bus", Advice: "start Redis", Probe: func(context.Context) error { return errors.New("connection refused") }},
		"panics": {Name: "bus", Advice: "start Redis", Probe: func(context.Context) error { panic("x") }},
		"hangs": {Name: "bus", Advice: "start Redis", Probe: func(context.Context) error {
			running <- struct{}{}
			<-hang
			return nil
		}},
	}
	ops := web.NewOps(web.OpsOptions{Gatherer: prometheus.NewRegistry(), Checks: []web.Check{good}})
	if status, _, body := opsGet(t, ops, "/readyz"); status != 200 || body != `{"ready":true,"checks":[{"name":"store","ok":true}]}`+"\n" {
		t.Errorf("ready: %d %s", status, body)
	}
	for name, check := range checks {
		ops := web.NewOps(web.OpsOptions{Gatherer: prometheus.NewRegistry(), Checks: append([]web.Check{check}, slices.Repeat([]web.Check{good}, 8)...), Wait: 50 * time.Millisecond})
		for range 3 {
			status, _, body := opsGet(t, ops, "/readyz")
			var answer struct {
				Ready  bool
				Checks []struct {
					Name, Error, Advice string
					OK                  bool
				}
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if status != 503 || answer.Ready || len(answer.Checks) != 9 {
				t.Fatalf("%s: %d %s", name, status, body)
			}
			if c := answer.Checks[0]; c.OK || c.Error == "" || c.Advice != "start Redis" || c.Name != "bus" {
				t.Errorf("%s: %s", name, body)
			}
			for _, c := range answer.Checks[1:] {
				if !c.OK || c.Advice != "" {
					t.Errorf("%s: %s", name, body)
				}
			}
		}
	}
	spare := checks["fails"]
	spare.Optional = true
	ops = web.NewOps(web.OpsOptions{Gatherer: prometheus.NewRegistry(), Checks: []web.Check{spare, good}})
	want := `{"ready":true,"checks":[{"name":"bus","ok":false,"error":"connection refused","advice":"start Redis"},{"name":"store","ok":true}]}` + "\n"
	if status, _, body := opsGet(t, ops, "/readyz"); status != 200 || body != want {
		t.Errorf("without what is optional: %d %s", status, body)
	}
	if n := len(running); n != 1 {
		t.Errorf("a check that hangs runs %d times at once", n)
	}
}

// P44: what ops see is not on the public listener, whichever way it is asked.
func TestOpsIsNotPublic(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars"} {
		for _, key := range []string{"", "platform"} {
			w.call("GET", path, key, "").want(404, "not_found")
		}
	}
	resp, err := http.Get(w.http.URL + "/debug/pprof/cmdline") //nolint:gosec // the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
