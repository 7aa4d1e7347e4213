package session

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// claims is what a token says. Its types are as narrow as what Issue writes:
// a list of audiences, or an expiry that is text or a fraction, does not decode.
type claims struct {
	Issuer    string        `json:"iss"`
	Audience  string        `json:"aud"`
	Subject   uuid.UUID     `json:"sub"`
	Issued    secondsMillis `json:"iat"`
	NotBefore int64         `json:"nbf,omitempty"` // never issued; honoured
	Expires   int64         `json:"exp"`           // seconds since the epoch

	Tenant  string    `json:"ten"`
	Mission uuid.UUID `json:"mis"`
	Agent   string    `json:"agt,omitempty"`
	Profile Profile   `json:"pro,omitempty"`
	Trail   bool      `json:"trl,omitempty"`
	Viewers int       `json:"max,omitempty"`
}

func claimsOf(p *Principal) *claims {
	return &claims{
		Issuer: tokenIssuer, Audience: audiences[p.Role], Subject: p.Subject,
		Issued: secondsMillis(p.Issued.UnixMilli()), Expires: p.Expires.Unix(),
		Tenant: p.Tenant, Mission: p.Mission, Agent: p.Agent,
		Profile: p.View.Profile, Trail: p.View.Trail, Viewers: p.Viewers,
	}
}

func (c *claims) principal(role Role) *Principal {
	return &Principal{
		Role: role, Tenant: c.Tenant, Subject: c.Subject, Mission: c.Mission, Agent: c.Agent,
		View: View{Profile: c.Profile, Trail: c.Trail}, Viewers: c.Viewers,
		Issued: time.UnixMilli(int64(c.Issued)).UTC(), Expires: time.Unix(c.Expires, 0).UTC(),
	}
}

// Validate returns ErrInvalid unless the claims are whole and fit their
// audience: an agent's token names an agent and no view, a link the reverse, a
// doctor's nothing at all. Package jwt calls it after its own checks.
func (c *claims) Validate() error {
	if c.Audience == audiences[Doctor] {
		return c.validateDoctor()
	}
	if err := ValidateTenant(c.Tenant); err != nil {
		return err
	}
	switch {
	case c.Subject == uuid.Nil:
		return ErrInvalid.At("subject").Because("is required")
	case c.Mission == uuid.Nil:
		return ErrInvalid.At("mission").Because("is required")
	case c.Issued <= 0:
		return ErrInvalid.At("issued").Because("is required")
	}
	switch c.Audience {
	case audiences[AgentRole]:
		if !agentName.MatchString(c.Agent) || c.Profile != "" || c.Trail || c.Viewers != 0 {
			return ErrInvalid.At("agent").Because("is required in an agent's token, and a view is not")
		}
	case audiences[Viewer]:
		if c.Agent != "" || c.Viewers < 0 {
			return ErrInvalid.At("agent").Because("must not be in a link, nor a negative number of viewers")
		}
		if _, err := ParseProfile(string(c.Profile)); err != nil {
			return err
		}
	default:
		return ErrInvalid.At("role").Because("must be agent or viewer")
	}
	return nil
}

func (c *claims) validateDoctor() error {
	bare := claims{Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, Issued: c.Issued, NotBefore: c.NotBefore, Expires: c.Expires}
	switch {
	case c.Subject == uuid.Nil:
		return ErrInvalid.At("subject").Because("is required")
	case *c != bare:
		return ErrInvalid.At("role").Because("doctor has no tenant, mission, agent or view")
	case c.Issued <= 0 || c.Expires-int64(c.Issued)/1000 > maxProbe:
		return ErrInvalid.At("expires").Because("must lie within %d seconds of the time of issue", maxProbe)
	}
	return nil
}

// The accessors that package jwt checks by. A claim that is absent is zero, and
// zero is not a time at which any token was ever valid.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.Expires), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return numericDate(c.NotBefore), nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil } // Validate looks at it
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject.String(), nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }

func numericDate(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return &jwt.NumericDate{Time: time.Unix(seconds, 0)}
}

// secondsMillis is a time in milliseconds since the epoch that JSON shows in
// seconds with three decimals, as a NumericDate may be (RFC 7519, 2). Going
// through a float64 would be exact too, but only by luck of the century.
type secondsMillis int64

// MarshalJSON returns the seconds, with three decimals.
func (t secondsMillis) MarshalJSON() ([]byte, error) {
	if t < 0 {
		return nil, errors.New("a time before 1970")
	}
	return fmt.Appendf(nil, "%d.%03d", t/1000, t%1000), nil
}

// UnmarshalJSON takes what MarshalJSON gives and nothing else.
func (t *secondsMillis) UnmarshalJSON(b []byte) error {
	whole, fraction, ok := strings.Cut(string(b), ".")
	if !ok || len(fraction) != 3 || len(whole) > 15 {
		return errors.New("not seconds with three decimals")
	}
	ms, err := strconv.ParseUint(whole+fraction, 10, 63)
	if err != nil {
		return errors.New("not seconds with three decimals")
	}
	*t = secondsMillis(ms)
	return nil
}
