package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"ronde/session"
)

// Problem is how every refusal looks: RFC 9457 with a stable code.
type Problem struct {
	Title  string `json:"title" doc:"The status in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Code   string `json:"code" doc:"What went wrong; stable, one of x-problems"`
	Field  string `json:"field,omitempty" doc:"The member or parameter at fault"`
	Detail string `json:"detail" doc:"What went wrong, in words that may change"`
}

// Error returns the problem's detail. GetStatus and ContentType let huma write
// a Problem as it is.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// Codes of problems. The first group are those of package session.
const (
	codeInvalid     = "invalid"
	codeNotFound    = "not_found"
	codeForbidden   = "forbidden"
	codeAgentPause  = "agent_pause"
	codeState       = "mission_state"
	codeTooEarly    = "too_early"
	codeLocated     = "agent_located"
	codeOnDuty      = "agent_on_duty"
	codeHeld        = "held"
	codeErasing     = "erasing"
	codeExists      = "exists"
	codeKeyReused   = "idempotency_key_reused"
	codeUnavailable = "store_unavailable"
	codeGone        = "gone"
	codeReason      = "reason_required"
	codeToken       = "token_invalid"
	codeRevoked     = "token_revoked"
	codeViewers     = "too_many_viewers" // of package tracker

	codeMethod      = "method_not_allowed"
	codeOrigin      = "origin"
	codeHandshake   = "handshake"
	codeUpgrade     = "upgrade_required"
	codeTooLarge    = "too_large"
	codeMediaType   = "media_type"
	codeBadRequest  = "bad_request"
	codeTimeout     = "timeout"
	codeRateLimited = "rate_limited"
	codeInternal    = "internal"
)

// problemKind is what a code stands for.
type problemKind struct {
	status  int
	meaning string
}

// problems is the one table from a problem's code to its HTTP status and, for
// readers of the document, to what it means.
var problems = map[string]problemKind{
	codeInvalid:     {http.StatusUnprocessableEntity, "A value breaks a rule; field names it."},
	codeNotFound:    {http.StatusNotFound, "There is no such object, or it is not yours."},
	codeForbidden:   {http.StatusForbidden, "The role of this key may not do this."},
	codeAgentPause:  {http.StatusForbidden, "An agent's own pause is ended by that agent alone."},
	codeState:       {http.StatusConflict, "The mission's state forbids it."},
	codeTooEarly:    {http.StatusConflict, "The mission may not begin yet."},
	codeLocated:     {http.StatusConflict, "An agent is located for another mission at this time."},
	codeOnDuty:      {http.StatusConflict, "The agent is on a mission that is not over: relieve them or end it first."},
	codeHeld:        {http.StatusConflict, "A hold keeps what is asked to be erased: release it first."},
	codeErasing:     {http.StatusConflict, "An agent of the mission, or the tenant, is being erased: ask for that erasure again, which finishes it, then for this."},
	codeExists:      {http.StatusConflict, "An object of this identity exists."},
	codeKeyReused:   {http.StatusConflict, "This Idempotency-Key stands for a request with another body."},
	codeUnavailable: {http.StatusServiceUnavailable, "The server cannot answer now; ask again after Retry-After."},
	codeGone:        {http.StatusGone, "The track has expired, and its key is destroyed."},
	codeReason:      {http.StatusForbidden, "The mission is over and held: its data are read with an Access-Reason only."},
	codeToken:       {http.StatusUnauthorized, "The credential is missing, malformed, of another kind or expired."},
	codeRevoked:     {http.StatusUnauthorized, "The credential was revoked."},
	codeViewers:     {http.StatusTooManyRequests, "As many as the link allows are watching; ask again after Retry-After."},

	codeMethod:      {http.StatusMethodNotAllowed, "The path knows only other methods; Allow names them."},
	codeOrigin:      {http.StatusForbidden, "A page of another origin may not connect."},
	codeHandshake:   {http.StatusBadRequest, "The subprotocol is missing, or there are two credentials."},
	codeUpgrade:     {http.StatusUpgradeRequired, "This is a WebSocket."},
	codeTooLarge:    {http.StatusRequestEntityTooLarge, "The body is too long."},
	codeMediaType:   {http.StatusUnsupportedMediaType, "The body is not plain application/json."},
	codeBadRequest:  {http.StatusBadRequest, "The body could not be read."},
	codeTimeout:     {http.StatusRequestTimeout, "The body did not come in time."},
	codeRateLimited: {http.StatusTooManyRequests, "Too many requests; ask again after Retry-After."},
	codeInternal:    {http.StatusInternalServerError, "The server failed; its log tells why, under the X-Request-Id of the answer."},
}

// retryAfter is when to ask again what could not be answered now, in seconds.
const retryAfter = "2"

// newProblem returns the problem of that code, which must be one of the table.
func newProblem(code, detail string) *Problem {
	kind, ok := problems[code]
	if !ok {
		kind, code = problems[codeInternal], codeInternal
	}
	return &Problem{Title: http.StatusText(kind.status), Status: kind.status, Code: code, Detail: detail}
}

// at names the member or parameter at fault.
func (p *Problem) at(field string) *Problem {
	p.Field = field
	return p
}

// problem turns an error into what the caller may know of it. Failures of ours
// are logged here and described no further: their text is not for callers.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var refusal *session.Error
	known := errors.As(err, &refusal) && problems[refusal.Code].status != 0
	switch {
	case known && problems[refusal.Code].status < http.StatusInternalServerError:
		return newProblem(refusal.Code, refusal.Detail).at(refusal.Field)
	case known || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.log.WarnContext(ctx, "request not answered", "request_id", requestID(ctx), "error", err)
		}
		return newProblem(codeUnavailable, "the server cannot answer now; ask again")
	}
	s.log.ErrorContext(ctx, "request failed", "request_id", requestID(ctx), "error", err)
	return newProblem(codeInternal, "the server failed")
}

// fail answers with the problem of err.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	body, jsonErr := json.Marshal(p)
	if jsonErr != nil { // strings and an integer always marshal
		panic(jsonErr)
	}
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // who is gone cannot be told
}

// explain adds the headers that go with the status of a refusal.
func explain(h http.Header, status int) {
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
	}
}

// Huma makes its own refusals, of query parameters, and the schema of all
// through this hook, which is a variable of its package. Nothing else in Ronde
// uses huma.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		if status != http.StatusUnprocessableEntity {
			return newProblem(codeInternal, "the server failed")
		}
		p := newProblem(codeInvalid, msg)
		var detail *huma.ErrorDetail
		if len(errs) > 0 && errors.As(errs[0], &detail) {
			p.Detail = detail.Message // never detail.Value: it is what was sent
			_, field, _ := strings.Cut(detail.Location, ".")
			field, _, _ = strings.Cut(field, "[") // of a list of values, the parameter
			p.Field = memberName(field)
		}
		return p
	}
}
