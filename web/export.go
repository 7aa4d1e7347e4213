package web

import (
	"context"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"ronde/session"
)

// exportForm is one form of an export. Nothing is kept from one call to the next
// but where the document stands.
type exportForm interface {
	contentType() string
	extension() string
	open(agent string, at time.Time, notices []session.Acknowledgement) error
	// Once a mission: mission, fixes for every page of positions, leave.
	mission(p *session.Part) error
	fixes(p *session.Part, page []session.Fix) error
	leave(log accessPages) error
	// close is given what the access log has about no mission.
	close(log accessPages) error
}

// accessPages calls do for every page of rows of the access log.
type accessPages func(do func(page []session.Access) error) error

// describeExport documents the export.
func describeExport(op *huma.Operation) {
	op.Description = "In the order of missions, the newest first. An answer that is broken off is no whole document: JSON ends with \"complete\": true. " +
		"Anybody but the agent needs an Access-Reason if one of the missions is over and held; each of those leaves a row archive.read."
	op.Parameters = []*huma.Param{
		{Name: "agent", In: "path", Required: true, Description: "The tenant's own name for the agent", Schema: &huma.Schema{Type: huma.TypeString}},
		{Name: "format", In: "query", Description: "GPX holds the positions alone", Schema: &huma.Schema{
			Type: huma.TypeString, Enum: []any{"json", "gpx"}, Default: "json",
		}},
	}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Everything stored about the agent",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: exportSchema}, gpxType: {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}}
}

// export is one export that is being written.
type export struct {
	form  exportForm
	by    *session.Principal
	agent string
	why   string // the reason given; "": none
}

// exportAgent streams everything stored about an agent. An agent asks with a
// token of their own, and of nobody else; anybody else reads what is held with a
// reason only.
func (s *Server) exportAgent(ctx context.Context, p *session.Principal, r *http.Request, out *chunks) error {
	agent := r.PathValue("agent")
	if p.Role == session.AgentRole && agent != p.Agent {
		return session.ErrNotFound
	}
	if err := s.service.Knows(ctx, p.Tenant, agent); err != nil {
		return err
	}
	why, err := accessReason(r.Header, false)
	if err != nil {
		return err
	}
	e := &export{form: newJSONExport(out), by: p, agent: agent, why: why}
	if r.URL.Query().Get("format") == "gpx" {
		e.form = &gpxExport{w: out}
	}
	if e.lacksReason() {
		held, err := s.service.Held(ctx, p.Tenant, agent)
		if err == nil && held {
			err = session.ErrReason
		}
		if err != nil {
			return err
		}
	}
	at, err := s.service.Store.Now(ctx)
	if err != nil {
		return err
	}
	if err := out.to.recorded(); err != nil { // and so the export has itself
		return err
	}
	h := out.header
	h.Set("Content-Type", e.form.contentType())
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": agent + e.form.extension()}))
	err = s.writeExport(ctx, e, at)
	if err != nil && !out.to.begun {
		h.Del("Content-Disposition")
	}
	return err
}

func (s *Server) writeExport(ctx context.Context, e *export, at time.Time) error {
	tenant := e.by.Tenant
	notices, err := s.service.Store.Acknowledgements(ctx, tenant, e.agent)
	if err != nil {
		return err
	}
	if err := e.form.open(e.agent, at, notices); err != nil {
		return err
	}
	err = s.service.Parts(ctx, tenant, e.agent, func(p *session.Part) error {
		return s.writePart(ctx, e, p)
	})
	if err != nil {
		return err
	}
	return e.form.close(s.accessPages(ctx, tenant, e.agent, uuid.Nil))
}

// lacksReason reports whether the export must not have what is held.
func (e *export) lacksReason() bool { return e.by.Role != session.AgentRole && e.why == "" }

// recordHeld has the access log know, before it goes out, that what a hold keeps
// is read by somebody else than the agent.
func (s *Server) recordHeld(ctx context.Context, e *export, p *session.Part) error {
	switch {
	case p.Hold == nil || !p.Mission.State.Over() || e.by.Role == session.AgentRole:
		return nil
	case e.lacksReason(): // held since the export began
		return session.ErrReason
	}
	return s.service.Record(ctx, e.by, session.Access{
		Action: session.AccessArchiveRead, Mission: p.Mission.ID, Agent: s.service.Pseudonym(e.by.Tenant, e.agent), Object: p.Hold.ID, Why: e.why,
	})
}

func (s *Server) accessPages(ctx context.Context, tenant, agent string, mission uuid.UUID) accessPages {
	return func(do func(page []session.Access) error) error {
		return s.service.AgentAccess(ctx, tenant, agent, mission, do)
	}
}

func (s *Server) writePart(ctx context.Context, e *export, p *session.Part) error {
	if err := s.recordHeld(ctx, e, p); err != nil {
		return err
	}
	if err := e.form.mission(p); err != nil {
		return err
	}
	if err := s.service.AgentFixes(ctx, p, func(page []session.Fix) error { return e.form.fixes(p, page) }); err != nil {
		return err
	}
	return e.form.leave(s.accessPages(ctx, p.Mission.Tenant, p.ID, p.Mission.ID))
}
