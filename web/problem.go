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
	Code   string `json:"code" doc:"What went wrong; stable"`
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
	codeExists      = "exists"
	codeKeyReused   = "idempotency_key_reused"
	codeUnavailable = "store_unavailable"
	codeGone        = "gone"
	codeToken       = "token_invalid"
	codeRevoked     = "token_revoked"

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

// statuses is the one table from a problem's code to its HTTP status.
var statuses = map[string]int{
	codeInvalid:     http.StatusUnprocessableEntity,
	codeNotFound:    http.StatusNotFound,
	codeForbidden:   http.StatusForbidden,
	codeAgentPause:  http.StatusForbidden,
	codeState:       http.StatusConflict,
	codeTooEarly:    http.StatusConflict,
	codeLocated:     http.StatusConflict,
	codeExists:      http.StatusConflict,
	codeKeyReused:   http.StatusConflict,
	codeUnavailable: http.StatusServiceUnavailable,
	codeGone:        http.StatusGone,
	codeToken:       http.StatusUnauthorized,
	codeRevoked:     http.StatusUnauthorized,

	codeMethod:      http.StatusMethodNotAllowed,
	codeOrigin:      http.StatusForbidden,
	codeHandshake:   http.StatusBadRequest,
	codeUpgrade:     http.StatusUpgradeRequired,
	codeTooLarge:    http.StatusRequestEntityTooLarge,
	codeMediaType:   http.StatusUnsupportedMediaType,
	codeBadRequest:  http.StatusBadRequest,
	codeTimeout:     http.StatusRequestTimeout,
	codeRateLimited: http.StatusTooManyRequests,
	codeInternal:    http.StatusInternalServerError,
}

// retryAfter is when to ask again what could not be answered now, in seconds.
const retryAfter = "2"

// newProblem returns the problem of that code, which must be one of the table.
func newProblem(code, detail string) *Problem {
	status, ok := statuses[code]
	if !ok {
		status, code = http.StatusInternalServerError, codeInternal
	}
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
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
	known := errors.As(err, &refusal) && statuses[refusal.Code] != 0
	switch {
	case known && statuses[refusal.Code] < http.StatusInternalServerError:
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
