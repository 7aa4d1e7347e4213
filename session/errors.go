package session

import (
	"errors"
	"fmt"
)

// Error is what the rules answer when they refuse. Its code is stable and
// reaches users as it is; packages web and tracker map it to an HTTP status or
// a frame. Compare with errors.Is, which looks at the code alone.
type Error struct {
	Code   string // lower case with underscores
	Field  string // the member at fault, when there is one: "site.radius_m"
	Detail string // the rule that was broken, in words
}

func (e *Error) Error() string {
	switch {
	case e.Field != "":
		return fmt.Sprintf("%s: %s %s", e.Code, e.Field, e.Detail)
	case e.Detail != "":
		return e.Code + ": " + e.Detail
	}
	return e.Code
}

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// Because returns a copy of e with the detail filled in.
func (e *Error) Because(format string, args ...any) *Error {
	return &Error{Code: e.Code, Field: e.Field, Detail: fmt.Sprintf(format, args...)}
}

// At returns a copy of e that names the member at fault.
func (e *Error) At(field string) *Error {
	return &Error{Code: e.Code, Field: field, Detail: e.Detail}
}

// The errors of the domain. What may return which is said where it is
// returned.
var (
	// ErrInvalid: a value breaks a rule; Field names it.
	ErrInvalid = &Error{Code: "invalid"}
	// ErrNotFound: no such object, or one that the caller may not know of.
	ErrNotFound = &Error{Code: "not_found", Detail: "there is no such object"}
	// ErrForbidden: the caller's role may not do this.
	ErrForbidden = &Error{Code: "forbidden", Detail: "this role may not do this"}
	// ErrAgentPause: only the agent ends their own pause.
	ErrAgentPause = &Error{Code: "agent_pause", Detail: "an agent's own pause can be ended by that agent alone"}
	// ErrState: the mission's state forbids the transition.
	ErrState = &Error{Code: "mission_state"}
	// ErrTooEarly: the mission's start is further away than it may begin early.
	ErrTooEarly = &Error{Code: "too_early"}
	// ErrLocated: an agent is located for another mission at this time.
	ErrLocated = &Error{Code: "agent_located", Detail: "an agent of this mission is located for another mission now"}
	// ErrOnDuty: the agent is on a mission that is not over.
	ErrOnDuty = &Error{Code: "agent_on_duty"}
	// ErrHeld: a hold keeps what is asked to be erased.
	ErrHeld = &Error{Code: "held"}
	// ErrErasing: the agent or the tenant is about to be erased, and until that is
	// done nothing may come in its way.
	ErrErasing = &Error{Code: "erasing", Detail: "an agent or the tenant is being erased: ask for that erasure again, which finishes it"}
	// ErrExists: an object of this identity exists.
	ErrExists = &Error{Code: "exists"}
	// ErrKeyReused: the caller's key for a creation stands for another one.
	ErrKeyReused = &Error{Code: "idempotency_key_reused", Field: "Idempotency-Key", Detail: "was used within the last 24 hours for a request with another body"}
	// ErrRepeated: this creation has happened before; it reaches no user.
	ErrRepeated = &Error{Code: "repeated", Detail: "this was created before"}
	// ErrUnavailable: the store or the keyring cannot answer now; whatever was
	// asked may or may not have happened and is safe to ask again.
	ErrUnavailable = &Error{Code: "store_unavailable", Detail: "the store cannot answer now"}
	// ErrGone: the key is destroyed: what it sealed can never be read again.
	ErrGone = &Error{Code: "gone", Detail: "the key of this data has been destroyed"}
	// ErrToken: the credential is missing, malformed, forged or expired.
	ErrToken = &Error{Code: "token_invalid", Detail: "the token is missing, malformed or expired"}
	// ErrRevoked: the credential was valid and has been revoked.
	ErrRevoked = &Error{Code: "token_revoked", Detail: "the token has been revoked"}
)
