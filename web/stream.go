package web

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ronde/session"
)

// chunkTimeout is how long a reader may take over one chunk of a stream.
const chunkTimeout = 30 * time.Second

// streamer writes an answer that may be long, chunk by chunk.
type streamer func(s *Server, ctx context.Context, p *session.Principal, r *http.Request, out *chunks) error

// streamed binds the handler of a route of kind Stream: it documents it and
// checks its query. What the handler returns before it has written anything is
// answered as a problem. After that the answer is broken off: its reader sees
// that it is not whole, because no last chunk comes and the document in it has
// no end.
func streamed(handle streamer, describe func(*huma.Operation)) binder {
	return func(b *builder, r *Route) {
		s := b.server
		op := &huma.Operation{OperationID: r.Name, Method: r.Method, Path: r.Path, Summary: r.Summary}
		describe(op)
		b.api.OpenAPI().AddOperation(op)
		b.records[r.Pattern()] = true
		b.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) {
			principal, err := session.PrincipalOf(req.Context())
			if err == nil {
				err = checkParameters(req, op)
			}
			var row session.Access
			if err == nil {
				row, err = s.accessOf(r, req)
			}
			if err != nil {
				s.fail(w, req, err)
				return
			}
			ctx, cancel := context.WithCancel(req.Context())
			defer cancel()
			out := newChunks(w, cancel)
			out.to.record = func() error { return s.service.Record(ctx, principal, row) }
			defer out.to.stalled.Stop()
			err = handle(s, ctx, principal, req, out)
			if err == nil {
				err = out.Flush()
			}
			switch {
			case err == nil:
			case !out.to.begun:
				s.fail(w, req, err)
			default:
				s.log.WarnContext(req.Context(), "stream broken off", "request_id", requestID(req.Context()), "error", err)
				panic(http.ErrAbortHandler)
			}
		})
	}
}

// checkParameters refuses parameters that the route does not know, or that
// checkQuery refuses.
func checkParameters(r *http.Request, op *huma.Operation) error {
	if err := checkQuery(r.URL.RawQuery, op); err != nil {
		return err
	}
	for name, values := range r.URL.Query() {
		known := false
		for _, p := range op.Parameters {
			if p.In != "query" || p.Name != name {
				continue
			}
			known = true
			if !enumerates(p.Schema, values[0]) {
				return session.ErrInvalid.At(name).Because("must be %s", oneOf(p.Schema))
			}
		}
		if !known {
			return session.ErrInvalid.At(memberName(name)).Because("is no parameter of this path")
		}
	}
	return nil
}

func enumerates(schema *huma.Schema, value string) bool {
	for _, allowed := range schema.Enum {
		if allowed == value {
			return true
		}
	}
	return len(schema.Enum) == 0
}

func oneOf(schema *huma.Schema) string {
	var names []string
	for _, allowed := range schema.Enum {
		if name, ok := allowed.(string); ok {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// chunkSize is how much of a stream is in memory before it is sent.
const chunkSize = 16 << 10

// chunks is the body of a stream. What is written is sent in chunks; each must get
// through within chunkTimeout, and between two of them the store may take
// requestTimeout.
type chunks struct {
	*bufio.Writer
	header http.Header
	to     *sender
}

// sender sends chunks.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stalled *time.Timer  // ends the request's context
	record  func() error // has the access log know; nil once it does
	begun   bool
}

func newChunks(w http.ResponseWriter, cancel func()) *chunks {
	to := &sender{w: w, control: http.NewResponseController(w), stalled: time.AfterFunc(requestTimeout, cancel)}
	return &chunks{Writer: bufio.NewWriterSize(to, chunkSize), header: w.Header(), to: to}
}

// recorded returns once the access log knows of the request.
func (s *sender) recorded() error {
	if s.record == nil {
		return nil
	}
	if err := s.record(); err != nil {
		return err
	}
	s.record = nil
	return nil
}

// Write sends a part of the body.
func (s *sender) Write(b []byte) (int, error) {
	s.stalled.Stop()
	defer s.stalled.Reset(requestTimeout)
	if err := s.recorded(); err != nil {
		return 0, err
	}
	s.begun = true
	if err := s.control.SetWriteDeadline(time.Now().Add(chunkTimeout)); err != nil {
		return 0, err
	}
	return s.w.Write(b)
}
