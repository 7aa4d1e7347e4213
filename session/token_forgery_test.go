package session_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// A forger makes tokens by hand, with the genuine signing key if need be, so
// that what is wrong with them is exactly one thing.
type forger struct {
	t      testing.TB
	key    ed25519.PrivateKey
	header map[string]any
	claims map[string]any
}

func newForger(t testing.TB, clock *tokenClock) *forger {
	p := agentPrincipal(clock)
	return &forger{
		t:      t,
		key:    ed25519.NewKeyFromSeed(signingKey(1, clock.now).Seed),
		header: map[string]any{"alg": "EdDSA", "typ": "ronde+jwt", "kid": "key-1"},
		claims: map[string]any{
			"iss": "ronde", "aud": "ronde.agent", "sub": p.Subject.String(),
			"iat": json.RawMessage("1795291200.250"), "exp": p.Expires.Unix(),
			"ten": "acme", "mis": p.Mission.String(), "agt": "badge-17",
		},
	}
}

// with returns a forger whose header or claims have other members; nil removes
// one.
func with(members map[string]any, changes ...any) map[string]any {
	members = maps.Clone(members)
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(members, name)
		} else {
			members[name] = changes[i+1]
		}
	}
	return members
}

func (f *forger) encode(v any) string {
	raw, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			f.t.Fatal(err)
		}
		raw = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// sign returns a token of that header and claims, each a map or a JSON text,
// signed with the genuine key.
func (f *forger) sign(header, claims any) string {
	text := f.encode(header) + "." + f.encode(claims)
	return text + "." + f.encode(string(ed25519.Sign(f.key, []byte(text))))
}

func (f *forger) withHeader(changes ...any) string {
	return f.sign(with(f.header, changes...), f.claims)
}

func (f *forger) withClaims(changes ...any) string {
	return f.sign(f.header, with(f.claims, changes...))
}

// signedBy returns a token under another algorithm.
func (f *forger) signedBy(alg string, sign func(text []byte) []byte) string {
	text := f.encode(with(f.header, "alg", alg)) + "." + f.encode(f.claims)
	return text + "." + f.encode(string(sign([]byte(text))))
}

// TestForgerIsGenuine: without a change, what the forger makes is good. Without
// this, the table below would prove nothing.
func TestForgerIsGenuine(t *testing.T) {
	tokens, _, clock := newTokens()
	f := newForger(t, clock)
	if _, err := tokens.Verify(t.Context(), f.sign(f.header, f.claims), session.AgentRole); err != nil {
		t.Error(err)
	}
	for name, token := range map[string]string{
		"nbf now":         f.withClaims("nbf", clock.now.Unix()),
		"a strange claim": f.withClaims("hello", "world"),
		// The signature covers it, and the reader takes the last.
		"duplicate claim": f.sign(f.header, `{"agt":"x",`+strings.TrimPrefix(marshal(t, f.claims), "{")),
	} {
		p, err := tokens.Verify(t.Context(), token, session.AgentRole)
		if err != nil || p.Agent != "badge-17" {
			t.Errorf("%s: %v", name, err)
		}
	}
	viewer := f.withClaims("aud", "ronde.live", "agt", nil, "pro", "exact")
	if _, err := tokens.Verify(t.Context(), viewer, session.Viewer); err != nil {
		t.Error(err)
	}
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestForgedAlgorithm(t *testing.T) {
	tokens, _, clock := newTokens()
	f := newForger(t, clock)
	public := f.key.Public().(ed25519.PublicKey)
	mac := func(key []byte) func([]byte) []byte {
		return func(text []byte) []byte { h := hmac.New(sha256.New, key); h.Write(text); return h.Sum(nil) }
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := f.encode(with(f.header, "alg", "none")) + "." + f.encode(f.claims) + "."
	for name, token := range map[string]string{
		"none":                      unsigned,
		"none, signed":              f.withHeader("alg", "none"),
		"None":                      f.withHeader("alg", "None"),
		"no alg":                    f.withHeader("alg", nil),
		"alg a number":              f.withHeader("alg", 1),
		"eddsa in lower case":       f.withHeader("alg", "eddsa"),
		"Ed25519":                   f.withHeader("alg", "Ed25519"),
		"HS256, public key":         f.signedBy("HS256", mac(public)),
		"HS256, no key":             f.signedBy("HS256", mac(nil)),
		"HS256, EdDSA header":       f.signedBy("EdDSA", mac(public)),
		"signed by another key":     f.signedBy("EdDSA", func(text []byte) []byte { return ed25519.Sign(otherKey, text) }),
		"signature of another text": f.signedBy("EdDSA", func([]byte) []byte { return ed25519.Sign(f.key, []byte("text")) }),
		"no signature":              f.signedBy("EdDSA", func([]byte) []byte { return nil }),
		"RS256": f.signedBy("RS256", func(text []byte) []byte {
			sum := sha256.Sum256(text)
			s, _ := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
			return s
		}),
		"PS256": f.signedBy("PS256", func(text []byte) []byte {
			sum := sha256.Sum256(text)
			s, _ := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum[:], nil)
			return s
		}),
		"ES256": f.signedBy("ES256", func(text []byte) []byte {
			sum := sha256.Sum256(text)
			r, s, _ := ecdsa.Sign(rand.Reader, ecKey, sum[:])
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}),
	} {
		refused(t, tokens, name, token, session.AgentRole)
	}
}

func TestForgedHeader(t *testing.T) {
	tokens, ring, clock := newTokens()
	f := newForger(t, clock)
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": f.encode(string(f.key.Public().(ed25519.PublicKey)))}
	for name, token := range map[string]string{
		"kid missing":    f.withHeader("kid", nil),
		"kid unknown":    f.withHeader("kid", "key-2"),
		"kid a path":     f.withHeader("kid", "../../x"),
		"kid a file":     f.withHeader("kid", "/dev/null"),
		"kid padded":     f.withHeader("kid", "key-1 "),
		"kid other case": f.withHeader("kid", "KEY-1"),
		"kid a query":    f.withHeader("kid", "x' UNION SELECT '"),
		"kid a number":   f.withHeader("kid", 1),
		"kid a list":     f.withHeader("kid", []string{"key-1"}),
		"kid empty":      f.withHeader("kid", ""),
		"typ missing":    f.withHeader("typ", nil),
		"typ JWT":        f.withHeader("typ", "JWT"),
		"typ cased":      f.withHeader("typ", "RONDE+JWT"),
		"jku":            f.withHeader("jku", "http://127.0.0.1/keys"),
		"jwk":            f.withHeader("jwk", jwk),
		"x5u":            f.withHeader("x5u", "http://127.0.0.1/cert"),
		"x5c":            f.withHeader("x5c", []string{"MA=="}),
		"x5t":            f.withHeader("x5t", "AAAA"),
		"crit":           f.withHeader("crit", []string{"exp"}),
		"b64":            f.withHeader("b64", false),
		"zip":            f.withHeader("zip", "DEF"),
		"cty":            f.withHeader("cty", "JWT"),
		"null":           f.sign("null", f.claims),
		"a list":         f.sign("[]", f.claims),
		"empty":          f.sign("", f.claims),
		"trailing data":  f.sign(marshal(t, f.header)+"{}", f.claims),
	} {
		refused(t, tokens, name, token, session.AgentRole)
		clock.Add(time.Second) // so that each unknown kid asks the keyring
	}
	if n := ring.count(); n > 15 {
		t.Errorf("%d keyring reads", n)
	}
}

func TestForgedClaims(t *testing.T) {
	tokens, _, clock := newTokens()
	f := newForger(t, clock)
	now := clock.now.Unix()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for name, token := range map[string]string{
		"expired by 1 s":       f.withClaims("exp", now-1),
		"expires now":          f.withClaims("exp", now),
		"no exp":               f.withClaims("exp", nil),
		"exp null":             f.withClaims("exp", raw("null")),
		"exp zero":             f.withClaims("exp", 0),
		"exp text":             f.withClaims("exp", "1795298400"),
		"exp a fraction":       f.withClaims("exp", raw("1795298400.5")),
		"exp a whole fraction": f.withClaims("exp", raw("1795298400.0")),
		"exp an exponent":      f.withClaims("exp", raw("1.7952984e9")),
		"exp beyond int64":     f.withClaims("exp", raw("9223372036854775808")),
		"exp a list":           f.withClaims("exp", raw("[1795298400]")),
		"nbf ahead":            f.withClaims("nbf", now+1),
		"nbf text":             f.withClaims("nbf", "0"),
		"no iat":               f.withClaims("iat", nil),
		"iat text":             f.withClaims("iat", "1795291200.250"),
		"iat whole seconds":    f.withClaims("iat", 1795291200),
		"iat two decimals":     f.withClaims("iat", raw("1795291200.25")),
		"iat four decimals":    f.withClaims("iat", raw("1795291200.2500")),
		"iat negative":         f.withClaims("iat", raw("-1.000")),
		"iat huge":             f.withClaims("iat", raw("9999999999999999.000")),
		"another issuer":       f.withClaims("iss", "other"),
		"no issuer":            f.withClaims("iss", nil),
		"another audience":     f.withClaims("aud", "ronde.agents"),
		"no audience":          f.withClaims("aud", nil),
		"a list of audiences":  f.withClaims("aud", []string{"ronde.agent"}),
		"both audiences":       f.withClaims("aud", []string{"ronde.agent", "ronde.live"}),
		"no subject":           f.withClaims("sub", nil),
		"subject no uuid":      f.withClaims("sub", "me"),
		"no mission":           f.withClaims("mis", uuid.Nil.String()),
		"no tenant":            f.withClaims("ten", nil),
		"tenant a path":        f.withClaims("ten", "../acme"),
		"no agent":             f.withClaims("agt", nil),
		"agent with a profile": f.withClaims("pro", "exact"),
		"agent with viewers":   f.withClaims("max", 1),
		"claims null":          f.sign(f.header, "null"),
		"claims a list":        f.sign(f.header, "[]"),
		"claims empty":         f.sign(f.header, ""),
		"claims trailing":      f.sign(f.header, marshal(t, f.claims)+" {}"),
	} {
		refused(t, tokens, name, token, session.AgentRole)
	}
	viewer := []any{"aud", "ronde.live", "agt", nil, "pro", "exact"}
	for name, token := range map[string]string{
		"no profile":       f.withClaims(append(viewer, "pro", nil)...),
		"a bad profile":    f.withClaims(append(viewer, "pro", "cell:16")...),
		"an agent":         f.withClaims(append(viewer, "agt", "badge-17")...),
		"negative viewers": f.withClaims(append(viewer, "max", -1)...),
		"trail as text":    f.withClaims(append(viewer, "trl", "true")...),
	} {
		refused(t, tokens, "link: "+name, token, session.Viewer)
	}
}

// TestTokenOfAnotherRole: each kind of token is good for its own role alone.
func TestTokenOfAnotherRole(t *testing.T) {
	tokens, _, clock := newTokens()
	for _, p := range []session.Principal{agentPrincipal(clock), viewerPrincipal(clock)} {
		token := issue(t, tokens, p)
		for _, role := range []session.Role{session.AgentRole, session.Viewer, session.Platform, session.Operator, session.Auditor, ""} {
			if role != p.Role {
				refused(t, tokens, string(p.Role)+" as "+string(role), token, role)
			}
		}
	}
}

func TestMalformedToken(t *testing.T) {
	tokens, ring, clock := newTokens()
	good := issue(t, tokens, agentPrincipal(clock))
	parts := strings.Split(good, ".")
	header, claims, signature := parts[0], parts[1], parts[2]
	ring.set(func(r *fakeRing) { r.asked = 0 })
	clock.Add(10 * time.Second) // so that the keyring may be read again
	bad := map[string]string{
		"empty": "", "a dot": ".", "two dots": "..", "text": "hello", "bearer": "Bearer " + good,
		"no signature":        header + "." + claims,
		"empty signature":     header + "." + claims + ".",
		"a fourth part":       good + ".",
		"four parts":          good + "." + signature,
		"a dot before":        "." + good,
		"a dot more":          header + ".." + claims + "." + signature,
		"parts swapped":       claims + "." + header + "." + signature,
		"padding":             good + "==",
		"padding in between":  header + "=." + claims + "." + signature,
		"space after":         good + " ",
		"space before":        " " + good,
		"newline after":       good + "\n",
		"newline inside":      good[:len(good)-5] + "\n" + good[len(good)-5:],
		"carriage return":     good[:len(good)-5] + "\r" + good[len(good)-5:],
		"NUL":                 good + "\x00",
		"no UTF-8":            good + "\xff",
		"base64, not the URL": header + "." + claims + "." + strings.NewReplacer("-", "+", "_", "/").Replace(signature) + "+",
		"truncated":           good[:len(good)-2],
		"oversized":           good + strings.Repeat("A", 2049-len(good)),
		"huge":                strings.Repeat("A.", 1<<20),
		"oversized but good":  newForger(t, clock).withClaims("pad", strings.Repeat("a", 1400)),
	}
	for name, token := range bad {
		refused(t, tokens, name, token, session.AgentRole)
	}
	// A signature has 512 bits and its last character two of them: all others
	// that spell the same bytes are refused, and those that do not.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, last := range alphabet {
		if altered := good[:len(good)-1] + string(last); altered != good {
			refused(t, tokens, "last character "+string(last), altered, session.AgentRole)
		}
	}
	if n := ring.count(); n != 0 {
		t.Errorf("malformed tokens caused %d keyring reads", n)
	}
	for i := range good {
		altered := []byte(good)
		altered[i] ^= 1
		refused(t, tokens, "a character altered", string(altered), session.AgentRole)
	}
}

// FuzzVerify: no token but the genuine one verifies, and nothing panics.
func FuzzVerify(f *testing.F) {
	tokens, _, clock := newTokens()
	good := issue(f, tokens, agentPrincipal(clock))
	f.Add(good + ".")
	f.Add(newForger(f, clock).withHeader("alg", "none"))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := tokens.Verify(t.Context(), token, session.AgentRole); err == nil && token != good {
			t.Errorf("%q verifies", token)
		}
	})
}

// keyOf returns the number of the key that signed a token.
func keyOf(t testing.TB, token string) byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(raw, &header); err != nil || len(header.Kid) != 5 {
		t.Fatalf("header %s: %v", raw, err)
	}
	return header.Kid[4] - '0'
}
