package web

import (
	"cmp"
	"context"
	"time"

	"ronde/session"
)

type eraseRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"300" doc:"Why, for the access log: \"asked by the agent on 3 March\""`
}

// optional lets the body be absent.
func (eraseRequest) optional() {}

// erasureReply is the receipt of an erasure: counts and no name.
type erasureReply struct {
	Receipt  int64         `json:"receipt" doc:"The number of the erasure"`
	ErasedAt time.Time     `json:"erased_at"`
	Removed  erasedReply   `json:"removed"`
	Kept     []erasureKept `json:"kept" nullable:"false"`
}

type erasedReply struct {
	Missions         int64 `json:"missions" doc:"Records in which a random pseudonym took the agent's place"`
	Positions        int64 `json:"positions"`
	RefusalCounts    int64 `json:"refusal_counts"`
	Acknowledgements int64 `json:"acknowledgements"`
}

type erasureKept struct {
	What string `json:"what" enum:"mission_records,access_log"`
	Why  string `json:"why"`
}

// keptAfterErasure is what an erasure leaves, and why.
var keptAfterErasure = []erasureKept{
	{"mission_records", "that and when somebody was located, under a random pseudonym: the tenant's record of its jobs, until its term"},
	{"access_log", "who did what when, under keyed pseudonyms, because it must not change; 12 months. It answers to the name no more, but whoever holds the root secret and the database can test a name against it, and find by missions and times which pseudonym in the records took its place"},
}

func (s *Server) eraseAgent(ctx context.Context, r *request[noticeParams, eraseRequest]) (*erasureReply, error) {
	e, err := s.service.EraseAgent(ctx, r.Principal, r.Params.Agent, cmp.Or(r.Body.Reason, r.Access.Why))
	if err != nil {
		return nil, err
	}
	return newErasureReply(&e), nil
}

func newErasureReply(e *session.Erasure) *erasureReply {
	return &erasureReply{
		Receipt: e.Number, ErasedAt: e.DoneAt, Kept: keptAfterErasure,
		Removed: erasedReply{
			Missions: e.Missions, Positions: e.Positions, RefusalCounts: e.Refusals, Acknowledgements: e.Acknowledgements,
		},
	}
}
