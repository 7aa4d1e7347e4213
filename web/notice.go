package web

import (
	"context"
	"time"

	"ronde/session"
)

type noticeRequest struct {
	Text       string `json:"text,omitempty" maxLength:"20000" doc:"What agents read. Without it, it is made of the other members, which are then all required"`
	Controller string `json:"controller,omitempty" maxLength:"20000" doc:"Who decides over the data, and how to reach them"`
	Purpose    string `json:"purpose,omitempty" maxLength:"20000" doc:"What agents are located for"`
	LegalBasis string `json:"legal_basis,omitempty" maxLength:"20000" doc:"The legal basis, such as article 6(1)(f) of the GDPR"`
	Recipients string `json:"recipients,omitempty" maxLength:"20000" doc:"Who sees or receives the data"`
	Retention  string `json:"retention,omitempty" maxLength:"20000" doc:"For how long the data is kept"`
	Rights     string `json:"rights,omitempty" maxLength:"20000" doc:"What agents may ask for, of whom, and to whom they may complain"`
}

type noticeReply struct {
	Version     int       `json:"version"`
	Text        string    `json:"text"`
	Controller  *string   `json:"controller"`
	Purpose     *string   `json:"purpose"`
	LegalBasis  *string   `json:"legal_basis"`
	Recipients  *string   `json:"recipients"`
	Retention   *string   `json:"retention"`
	Rights      *string   `json:"rights"`
	PublishedAt time.Time `json:"published_at"`
}

func (s *Server) publishNotice(ctx context.Context, r *request[none, noticeRequest]) (*noticeReply, error) {
	q := &r.Body
	n, err := s.service.PublishNotice(ctx, r.Principal, session.Notice{
		Text: q.Text, Controller: q.Controller, Purpose: q.Purpose, LegalBasis: q.LegalBasis,
		Recipients: q.Recipients, Retention: q.Retention, Rights: q.Rights,
	})
	return newNoticeReply(n), err
}

func (s *Server) getNotice(ctx context.Context, r *request[none, none]) (*noticeReply, error) {
	n, err := s.service.Store.Notice(ctx, r.Principal.Tenant)
	return newNoticeReply(n), err
}

func newNoticeReply(n session.Notice) *noticeReply {
	return &noticeReply{
		Version: n.Version, Text: n.Text, Controller: orNull(n.Controller), Purpose: orNull(n.Purpose), LegalBasis: orNull(n.LegalBasis),
		Recipients: orNull(n.Recipients), Retention: orNull(n.Retention), Rights: orNull(n.Rights), PublishedAt: n.PublishedAt,
	}
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
