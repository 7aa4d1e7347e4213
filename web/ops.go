package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must work before a node is ready.
type Check struct {
	Name string // "store"
	// Advice says what to do when it fails.
	Advice string
	// Probe returns why it fails, before its context ends.
	Probe func(ctx context.Context) error
	// Optional says that the node serves without it: that it fails is told, and
	// the node is ready all the same.
	Optional bool
}

// OpsOptions are what the ops listener needs.
type OpsOptions struct {
	Gatherer prometheus.Gatherer
	Checks   []Check
	// Wait bounds all checks together, which run side by side; 2 s by default.
	Wait time.Duration
}

const defaultWait = 2 * time.Second

// NewOps returns the handler of the private listener: /metrics, /healthz,
// /readyz and the profiles under /debug/pprof. It has no authentication and its
// profiles hold memory: it is for loopback or a closed network.
func NewOps(o OpsOptions) http.Handler {
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeOps(w, http.StatusOK, map[string]string{"status": "up"})
	})
	mux.HandleFunc("GET /readyz", newReady(o.Checks, o.Wait).serve)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", serveLong(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", serveLong(pprof.Trace))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// serveLong lifts the listener's bound on a profile that was asked to run for
// longer than it.
func serveLong(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if seconds, err := strconv.Atoi(r.FormValue("seconds")); err == nil && seconds > 0 && seconds <= 600 {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Duration(seconds+30) * time.Second))
		}
		h(w, r)
	}
}

// ready answers whether the checks pass.
type ready struct {
	checks []Check
	// slots holds, for each check, the right to run its probe: one that hangs
	// runs once, however often it is asked for.
	slots []chan struct{}
	wait  time.Duration
}

func newReady(checks []Check, wait time.Duration) *ready {
	r := &ready{checks: checks, wait: wait}
	for range checks {
		r.slots = append(r.slots, make(chan struct{}, 1))
	}
	return r
}

type readiness struct {
	Ready  bool          `json:"ready"`
	Checks []checkResult `json:"checks"`
}

type checkResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// serve answers 503 if a check that is not optional fails or takes too long, and
// what to do about any that does.
func (r *ready) serve(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), r.wait)
	defer cancel()
	results := make([]chan error, len(r.checks))
	for i := range r.checks {
		results[i] = make(chan error, 1) // nobody may be waiting any more
		go func() { results[i] <- r.probe(ctx, i) }()
	}
	status, answer := http.StatusOK, readiness{Ready: true, Checks: []checkResult{}}
	for i, c := range r.checks {
		err := r.await(ctx, results[i])
		result := checkResult{Name: c.Name, OK: err == nil}
		if err != nil {
			result.Error, result.Advice = err.Error(), c.Advice
			if !c.Optional {
				status, answer.Ready = http.StatusServiceUnavailable, false
			}
		}
		answer.Checks = append(answer.Checks, result)
	}
	writeOps(w, status, answer)
}

// await returns what a check found, even if that came while another one was
// waited for until the end.
func (r *ready) await(ctx context.Context, result <-chan error) error {
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-result:
		return err
	default:
		return fmt.Errorf("no answer within %s", r.wait)
	}
}

// probe runs a check, unless it runs already and hangs. A panic is its failure:
// a probe must not end the process.
func (r *ready) probe(ctx context.Context, i int) (err error) {
	select {
	case r.slots[i] <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the check panicked: %v", v)
		}
		<-r.slots[i]
	}()
	return r.checks[i].Probe(ctx)
}

func writeOps(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who is gone cannot be told
}
