package web

import (
	"context"
	"time"

	"ronde/session"
)

type noticeRequest struct {
	Text string `json:"text" minLength:"1" maxLength:"20000" doc:"Who locates agents, why, on which legal basis, who receives it, how long it is kept, which rights they have"`
}

type noticeReply struct {
	Version     int       `json:"version"`
	Text        string    `json:"text"`
	PublishedAt time.Time `json:"published_at"`
}

func (s *Server) publishNotice(ctx context.Context, r *request[none, noticeRequest]) (*noticeReply, error) {
	n, err := s.service.PublishNotice(ctx, r.Principal, r.Body.Text)
	return newNoticeReply(n), err
}

func (s *Server) getNotice(ctx context.Context, r *request[none, none]) (*noticeReply, error) {
	n, err := s.service.Store.Notice(ctx, r.Principal.Tenant)
	return newNoticeReply(n), err
}

func newNoticeReply(n session.Notice) *noticeReply {
	return &noticeReply{Version: n.Version, Text: n.Text, PublishedAt: n.PublishedAt}
}

type noticeParams struct {
	Agent string `path:"agent" doc:"The tenant's own name for the agent"`
}

type acknowledgeRequest struct {
	Version *int64 `json:"version" nullable:"false" minimum:"1" doc:"The version that the agent acknowledged"`
}

type acknowledgementReply struct {
	Agent   string `json:"agent"`
	Version int    `json:"version"`
}

func (s *Server) acknowledgeNotice(ctx context.Context, r *request[noticeParams, acknowledgeRequest]) (*acknowledgementReply, error) {
	if r.Body.Version == nil {
		return nil, required("version")
	}
	version := int(clamp(*r.Body.Version))
	if err := s.service.AcknowledgeNotice(ctx, r.Principal, r.Params.Agent, version); err != nil {
		return nil, err
	}
	return &acknowledgementReply{Agent: r.Params.Agent, Version: version}, nil
}
