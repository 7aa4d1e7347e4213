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
	op.Description = "In the order of missions, the newest first. An answer that is broken off is no whole document: JSON ends with \"complete\": true."
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

// exportAgent streams everything stored about an agent. An agent asks with a
// token of their own, and of nobody else.
func (s *Server) exportAgent(ctx context.Context, p *session.Principal, r *http.Request, out *chunks) error {
	agent := r.PathValue("agent")
	if p.Role == session.AgentRole && agent != p.Agent {
		return session.ErrNotFound
	}
	if err := s.service.Knows(ctx, p.Tenant, agent); err != nil {
		return err
	}
	at, err := s.service.Store.Now(ctx)
	if err != nil {
		return err
	}
	if err := out.to.recorded(); err != nil { // and so the export has itself
		return err
	}
	var form exportForm = newJSONExport(out)
	if r.URL.Query().Get("format") == "gpx" {
		form = &gpxExport{w: out}
	}
	h := out.header
	h.Set("Content-Type", form.contentType())
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": agent + form.extension()}))
	err = s.writeExport(ctx, form, p.Tenant, agent, at)
	if err != nil && !out.to.begun {
		h.Del("Content-Disposition")
	}
	return err
}

func (s *Server) writeExport(ctx context.Context, form exportForm, tenant, agent string, at time.Time) error {
	notices, err := s.service.Store.Acknowledgements(ctx, tenant, agent)
	if err != nil {
		return err
	}
	if err := form.open(agent, at, notices); err != nil {
		return err
	}
	err = s.service.Parts(ctx, tenant, agent, func(p *session.Part) error {
		return s.writePart(ctx, form, p)
	})
	if err != nil {
		return err
	}
	return form.close(s.accessPages(ctx, tenant, agent, uuid.Nil))
}

func (s *Server) accessPages(ctx context.Context, tenant, agent string, mission uuid.UUID) accessPages {
	return func(do func(page []session.Access) error) error {
		return s.service.AgentAccess(ctx, tenant, agent, mission, do)
	}
}

func (s *Server) writePart(ctx context.Context, form exportForm, p *session.Part) error {
	if err := form.mission(p); err != nil {
		return err
	}
	if err := s.service.AgentFixes(ctx, p, func(page []session.Fix) error { return form.fixes(p, page) }); err != nil {
		return err
	}
	return form.leave(s.accessPages(ctx, p.Mission.Tenant, p.ID, p.Mission.ID))
}
