package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"ronde/session"
)

// Access declares how the access log comes to know of the uses of a route. Make
// one with reads, changes, within, connects or unrecorded.
type Access struct {
	By         Recorder
	Actions    []session.AccessAction // those that a use may be recorded as
	Unrecorded string                 // why Nobody records
}

// Recorder says who records the uses of a route, and when.
type Recorder int8

// The recorders. All of them commit before data goes out.
const (
	Undeclared Recorder = iota
	Edge                // operation: once the answer is computed, a creation before it is stored
	EdgeFirst           // operation, before the handler makes a change: the row says what was asked for
	Rules               // package session, with the change or before it; what changes nothing leaves no row
	Connection          // the handler of a socket or stream, as it opens and closes
	Nobody
)

// reads declares a reading, or a creation: as the first action, unless the handler
// finds that it is one of the others.
func reads(actions ...session.AccessAction) Access {
	return Access{By: Edge, Actions: actions}
}

func changes(a session.AccessAction) Access {
	return Access{By: EdgeFirst, Actions: []session.AccessAction{a}}
}

func within(actions ...session.AccessAction) Access {
	return Access{By: Rules, Actions: actions}
}

func connects(actions ...session.AccessAction) Access {
	return Access{By: Connection, Actions: actions}
}

func unrecorded(why string) Access { return Access{By: Nobody, Unrecorded: why} }

// atEdge reports whether operation records.
func (a *Access) atEdge() bool { return a.By == Edge || a.By == EdgeFirst }

// check returns what a route's declaration lacks.
func (a *Access) check(r *Route) error {
	socket := r.Kind == AgentSocket || r.Kind == LiveSocket || r.Kind == LiveEvents
	switch {
	case a.By == Undeclared:
		return errors.New("does not declare how it is recorded")
	case a.By == Nobody && (a.Unrecorded == "" || len(a.Actions) > 0):
		return errors.New("does not say why it is not recorded")
	case a.By == Nobody:
		return nil
	case len(a.Actions) == 0:
		return errors.New("does not say as what it is recorded")
	case r.Public:
		return errors.New("is public, and so has nobody to record")
	case (a.By == Connection) != socket:
		return errors.New("is recorded as what it is not")
	}
	return nil
}

// accessOf returns the row that a request is to leave: what its path and its
// headers say. Package session adds who asks. If it is not operation that records
// it, the row has no action.
func (s *Server) accessOf(r *Route, req *http.Request) (row session.Access, err error) {
	if row.Why, err = accessReason(req.Header); err != nil || !r.Access.atEdge() {
		return row, err
	}
	p, err := session.PrincipalOf(req.Context())
	if err != nil {
		return row, err
	}
	row.Action = r.Access.Actions[0]
	if agent := req.PathValue("agent"); agent != "" {
		row.Agent = s.service.Pseudonym(p.Tenant, agent)
	}
	if id, err := parseID(req.PathValue("id")); err == nil { // what is no id names nothing
		if strings.HasPrefix(r.Path, missionsPath) {
			row.Mission = id
		} else {
			row.Object = id
		}
	}
	return row, nil
}

// record writes the request's row, unless that was done or there is to be none.
// Without it nothing may be given or changed.
func (r *request[P, B]) record(ctx context.Context, s *Server) error {
	if r.Access.Action == "" || r.recorded {
		return nil
	}
	if err := s.service.Record(ctx, r.Principal, r.Access); err != nil {
		return err
	}
	r.recorded = true
	return nil
}

// reasonHeader says why a caller reads or changes something, for the access log:
// percent-encoded UTF-8, because headers are ASCII.
const reasonHeader = "Access-Reason"

func accessReason(h http.Header) (string, error) {
	values, invalid := h.Values(reasonHeader), session.ErrInvalid.At(reasonHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", invalid.Because("is there twice")
	case strings.ContainsFunc(values[0], func(c rune) bool { return c < ' ' || c > '~' }):
		return "", invalid.Because("must be ASCII: percent-encoded UTF-8")
	}
	reason, err := url.PathUnescape(values[0])
	if err != nil || !utf8.ValidString(reason) {
		return "", invalid.Because("must be percent-encoded UTF-8: a %% is written %%25")
	}
	return strings.TrimSpace(reason), session.ValidateReason(reasonHeader, reason)
}

// describeAccess documents what a use of the route leaves in the access log.
func describeAccess(op *huma.Operation, r *Route) {
	if r.Access.By == Nobody {
		return
	}
	op.Extensions["x-access-log"] = r.Access.Actions
	if r.Access.By == Connection {
		return
	}
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: reasonHeader, In: "header",
		Description: "Why, for the access log: percent-encoded UTF-8, 3 to 300 characters once decoded.",
		Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: new(12 * session.MaxReason)},
	})
}
