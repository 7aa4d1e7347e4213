package web

import (
	"context"
	"time"

	"ronde/session"
)

type agentParams struct {
	ID    string `path:"id" doc:"The mission, a UUIDv7"`
	Agent string `path:"agent" doc:"The tenant's own name for the agent"`
}

type agentTokenReply struct {
	Token     string    `json:"token" doc:"For the agent's phone; shown once"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (s *Server) createAgentToken(ctx context.Context, r *request[agentParams, empty]) (*agentTokenReply, error) {
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	token, expires, err := s.service.IssueAgentToken(ctx, r.Principal, id, r.Params.Agent)
	if err != nil {
		return nil, err
	}
	c := session.Creation{Ref: session.Ref{Tenant: r.Principal.Tenant, ID: id}}
	return create(ctx, s, r, c, func() *agentTokenReply { return &agentTokenReply{Token: token, ExpiresAt: expires} })
}

func (s *Server) revokeAgentTokens(ctx context.Context, r *request[agentParams, none]) (*missionReply, error) {
	return s.do(ctx, r.Principal, r.Params.ID, r.Access.Why, session.Command{Action: session.RevokeTokens, Agent: r.Params.Agent})
}

type linkRequest struct {
	Profile          *string `json:"profile,omitempty" nullable:"false" default:"exact_on_site" doc:"status, cell:<resolution>, exact or exact_on_site"`
	Trail            bool    `json:"trail,omitempty" default:"false" doc:"Whether the way so far is shown too"`
	ExpiresInSeconds *int64  `json:"expires_in_seconds,omitempty" nullable:"false" minimum:"1" doc:"At the latest the link expires one hour after the mission's deadline, which is the default"`
	MaxViewers       *int64  `json:"max_viewers,omitempty" nullable:"false" minimum:"1" maximum:"10000" doc:"How many may watch through the link at once; without it, any number"`
	Label            string  `json:"label,omitempty" maxLength:"200" doc:"For whom the link is, for your own list"`
}

// optional lets the body be absent: every member has a default.
func (linkRequest) optional() {}

type newLinkReply struct {
	ID        string    `json:"id"`
	URL       string    `json:"url" format:"uri" doc:"What the client opens; the token is in its fragment, which no browser sends"`
	Token     string    `json:"token" doc:"Shown once"`
	ExpiresAt time.Time `json:"expires_at"`
}

// maxViewers bounds what a link may ask for.
const maxViewers = 10_000

func (s *Server) createLink(ctx context.Context, r *request[missionParams, linkRequest]) (*newLinkReply, error) {
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	link, err := r.Body.link()
	if err != nil {
		return nil, err
	}
	link.Mission = id
	if n := r.Body.ExpiresInSeconds; n != nil {
		now, err := s.service.Store.Now(ctx)
		if err != nil {
			return nil, err
		}
		link.ExpiresAt = now.Add(scaled(n, time.Second, 0))
	}
	link, token, err := s.service.PrepareLink(ctx, r.Principal, link)
	if err != nil {
		return nil, err
	}
	c := session.Creation{Ref: session.Ref{Tenant: link.Tenant, ID: id}, Link: &link}
	return create(ctx, s, r, c, func() *newLinkReply {
		return &newLinkReply{
			ID: link.ID.String(), Token: token, ExpiresAt: link.ExpiresAt,
			URL: s.publicURL + "/live#" + token,
		}
	})
}

// link returns the link that was asked for, of no mission yet.
func (q *linkRequest) link() (session.Link, error) {
	profile, err := session.ParseProfile(orElse(q.Profile, string(session.ProfileOnSite)))
	switch {
	case err != nil:
		return session.Link{}, err
	case q.ExpiresInSeconds != nil && *q.ExpiresInSeconds < 1:
		return session.Link{}, session.ErrInvalid.At("expires_in_seconds").Because("must be at least 1")
	case q.MaxViewers != nil && (*q.MaxViewers < 1 || *q.MaxViewers > maxViewers):
		return session.Link{}, session.ErrInvalid.At("max_viewers").Because("must be 1 to %d", maxViewers)
	}
	return session.Link{
		View:       session.View{Profile: profile, Trail: q.Trail},
		Label:      q.Label,
		MaxViewers: int(orElse(q.MaxViewers, 0)),
	}, nil
}

type linkReply struct {
	ID         string          `json:"id"`
	Profile    session.Profile `json:"profile"`
	Trail      bool            `json:"trail"`
	Label      string          `json:"label"`
	MaxViewers *int            `json:"max_viewers" doc:"null: any number"`
	CreatedAt  time.Time       `json:"created_at"`
	ExpiresAt  time.Time       `json:"expires_at"`
	RevokedAt  *time.Time      `json:"revoked_at"`
	// How it is used.
	Opened       int64      `json:"opened" doc:"How often it was opened"`
	LastOpenedAt *time.Time `json:"last_opened_at"`
	Watching     int        `json:"watching" doc:"How many watch through it now"`
}

type linksParams struct {
	ID     string `path:"id" doc:"The mission, a UUIDv7"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most items of a page"`
	Cursor string `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before"`
}

func (s *Server) listLinks(ctx context.Context, r *request[linksParams, none]) (*page[linkReply], error) {
	after, err := parseIDCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	links, err := s.service.Store.Links(ctx, r.Principal.Tenant, id, after, r.Params.Limit+1)
	if err != nil {
		return nil, err
	}
	p := &page[linkReply]{Items: []linkReply{}}
	if len(links) > r.Params.Limit {
		links = links[:r.Params.Limit]
		p.NextCursor = idCursor(links[len(links)-1].ID)
	}
	for _, l := range links {
		p.Items = append(p.Items, linkReply{
			ID: l.ID.String(), Profile: l.View.Profile, Trail: l.View.Trail, Label: l.Label, MaxViewers: orNull(l.MaxViewers),
			CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, RevokedAt: orNull(l.RevokedAt),
			Opened: l.Opened, LastOpenedAt: orNull(l.LastOpenedAt), Watching: l.Watching,
		})
	}
	return p, nil
}

type linkParams struct {
	ID string `path:"id" doc:"The link, a UUIDv7"`
}

type revokedReply struct {
	ID      string `json:"id"`
	Revoked bool   `json:"revoked"`
}

func (s *Server) revokeLink(ctx context.Context, r *request[linkParams, none]) (*revokedReply, error) {
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	if err := s.service.RevokeLink(ctx, r.Principal, id); err != nil {
		return nil, err
	}
	return &revokedReply{ID: id.String(), Revoked: true}, nil
}
