package session

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenIssuer = "ronde"
	// tokenType is fixed, so that no other signed document is mistaken for a
	// token (RFC 8725, 3.11).
	tokenType = "ronde+jwt"
	// maxToken is the longest token that is looked at, in bytes; what Issue
	// makes stays below 800.
	maxToken = 2048
)

// audiences names what a role's tokens are for. A role without one comes with
// an API key, never with a token.
var audiences = map[Role]string{AgentRole: "ronde.agent", Viewer: "ronde.live", Doctor: "ronde.doctor"}

// maxProbe is the longest life of a doctor's token, in seconds.
const maxProbe = 60 * 60

// errForged is why a token's header names no key.
var errForged = errors.New("no key for this header")

// Tokens issues and verifies agent tokens and links: JSON Web Tokens signed
// with Ed25519 under the keys of the keyring, and with nothing else. Whether a
// verified token was revoked is for Principal.Live to say.
//
// It is safe for many goroutines.
type Tokens struct {
	keys    *signingKeys
	now     func() time.Time
	parsers map[Role]*jwt.Parser
}

// NewTokens returns Tokens that sign and verify with the keys of ring, by the
// clock now.
func NewTokens(ring Keyring, now func() time.Time) *Tokens {
	t := &Tokens{keys: newSigningKeys(ring, now), now: now, parsers: map[Role]*jwt.Parser{}}
	for role, audience := range audiences {
		t.parsers[role] = jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
			jwt.WithExpirationRequired(),
			jwt.WithIssuer(tokenIssuer),
			jwt.WithAudience(audience),
		)
	}
	return t
}

// Issue returns a token for an agent, a viewer or a doctor, which Verify turns back into
// p. A zero p.Issued is now; it keeps its milliseconds, because
// Agent.TokensAfter is compared with it. p.Expires is rounded down to a second.
//
// ErrInvalid for a principal that no token can carry or that would expire
// before it was issued; ErrUnavailable if the keyring cannot answer.
func (t *Tokens) Issue(ctx context.Context, p Principal) (string, error) {
	if p.Issued.IsZero() {
		p.Issued = t.now()
	}
	c := claimsOf(&p)
	if err := c.Validate(); err != nil {
		return "", err
	}
	if c.Expires <= p.Issued.Unix() {
		return "", ErrInvalid.At("expires").Because("must lie after the time of issue")
	}
	if p.Expires.Sub(p.Issued) > MaxTokenLife {
		return "", ErrInvalid.At("expires").Because("must lie within %d days of the time of issue", MaxTokenLife/(24*time.Hour))
	}
	key, err := t.keys.signer(ctx)
	if err != nil {
		return "", err
	}
	token := jwt.Token{
		Method: jwt.SigningMethodEdDSA,
		Header: map[string]any{"alg": jwt.SigningMethodEdDSA.Alg(), "typ": tokenType, "kid": key.id},
		Claims: c,
	}
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

// Verify returns whom the token names, if it is one of this role. ErrToken,
// without a word about what is wrong, for every other token; ErrUnavailable if
// the keyring cannot answer. It does not allow for clocks that differ: a token
// is void from the second it expires in.
func (t *Tokens) Verify(ctx context.Context, token string, role Role) (*Principal, error) {
	parser := t.parsers[role]
	if parser == nil || len(token) > maxToken || !wellFormed(token) {
		return nil, ErrToken
	}
	var unavailable error
	var c claims
	_, err := parser.ParseWithClaims(token, &c, func(parsed *jwt.Token) (any, error) {
		key, err := t.verifier(ctx, parsed.Header)
		if errors.Is(err, ErrUnavailable) {
			unavailable = err
		}
		return key, err
	})
	switch {
	case unavailable != nil:
		return nil, unavailable
	case err != nil:
		return nil, ErrToken
	}
	return c.principal(role), nil
}

// verifier returns the key that the header names. The header holds exactly
// what Issue puts there: whatever else could point to a key or change the
// meaning of the token (jku, jwk, x5u, x5c, crit, b64, zip) is refused unread.
func (t *Tokens) verifier(ctx context.Context, header map[string]any) (ed25519.PublicKey, error) {
	kid, ok := header["kid"].(string)
	if !ok || header["typ"] != tokenType || len(header) != 3 { // alg is the third
		return nil, errForged
	}
	return t.keys.verifier(ctx, kid)
}

// wellFormed reports whether the token consists of the characters of base64url
// and dots. Package base64 skips line breaks even when it is strict.
func wellFormed(token string) bool {
	for i := range len(token) {
		switch c := token[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
