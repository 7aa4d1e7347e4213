package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
)

// requestTimeout bounds the wait for the store behind one request of the API,
// unless its route declares another bound.
const requestTimeout = 15 * time.Second

type arrivalKey struct{}

// arrival is what was known of a request before anything it says was believed.
type arrival struct {
	id           string   // ours: what a client sends as one is ignored
	peer         string   // address of the connection
	forwardedFor []string // X-Forwarded-For, as it came
}

func arrivalOf(ctx context.Context) *arrival {
	a, ok := ctx.Value(arrivalKey{}).(*arrival)
	if !ok {
		return &arrival{}
	}
	return a
}

// requestID returns the id of the request, which its log lines and its answer
// share.
func requestID(ctx context.Context) string { return arrivalOf(ctx).id }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	came := &arrival{id: uuid.NewString(), peer: r.RemoteAddr, forwardedFor: r.Header.Values("X-Forwarded-For")}
	r = s.proxies.resolve(r.WithContext(context.WithValue(r.Context(), arrivalKey{}, came)))
	resp := &response{ResponseWriter: w}
	s.setHeaders(resp.Header(), came.id)
	defer func() {
		s.recovered(r, resp, recover())
		s.logRequest(r, resp, time.Since(start))
		if resp.broken {
			panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
		}
	}()
	if s.matches(resp, r) {
		s.mux.ServeHTTP(resp, r)
	}
}

// matches reports whether a route takes the request, or answers that none
// does. The mux would answer by itself, but in HTML, and redirect what it
// believes to be another spelling of a path, repeating the path.
func (s *Server) matches(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/") || path.Clean(r.URL.Path) != r.URL.Path {
		s.fail(w, r, newProblem(codeNotFound, "there is no such object"))
		return false
	}
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		return true
	}
	refusal := probe{header: http.Header{}}
	h.ServeHTTP(&refusal, r)
	if refusal.status != http.StatusMethodNotAllowed {
		s.fail(w, r, newProblem(codeNotFound, "there is no such object"))
		return false
	}
	w.Header().Set("Allow", refusal.header.Get("Allow"))
	s.fail(w, r, newProblem(codeMethod, "this path knows only other methods"))
	return false
}

// probe takes an answer that nobody is to see.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// recovered answers for a handler that panicked. The log says where and of
// which type the value was, but neither the value nor the arguments on the
// stack: both may hold what must not be logged.
func (s *Server) recovered(r *http.Request, w *response, value any) {
	if value == nil {
		return
	}
	if value == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, and panics with it bare
		w.broken = !w.hijacked
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", requestID(r.Context())),
		slog.String("type", fmt.Sprintf("%T", value)),
		slog.Any("stack", callers()),
	}
	if err, ok := value.(runtime.Error); ok {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "handler panicked", attrs...)
	switch {
	case w.hijacked:
	case w.status == 0:
		s.fail(w, r, newProblem(codeInternal, "the server failed"))
	default:
		w.broken = true
	}
}

// callers returns the functions between the panic and here.
func callers() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		lines = append(lines, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return lines
		}
	}
}

// logRequest writes the request's line: nothing in it was chosen by the client
// but the method, if it is one that we know.
func (s *Server) logRequest(r *http.Request, w *response, took time.Duration) {
	_, route, found := strings.Cut(r.Pattern, " ")
	if !found {
		route = "none"
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("request_id", requestID(r.Context())),
		slog.String("method", knownMethod(r.Method)),
		slog.String("route", route),
		slog.Int("status", w.status),
		slog.Int64("bytes", w.bytes),
		slog.Duration("duration", took),
	)
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// setHeaders sets what every answer says, whatever it is: nothing here may be
// framed, sniffed, kept or read by another origin. A page widens the policy to
// what it needs.
func (s *Server) setHeaders(h http.Header, requestID string) {
	h.Set("X-Request-Id", requestID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
