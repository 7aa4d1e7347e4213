package session_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"ronde/session"
)

var printedKey = regexp.MustCompile(`^ronde_[0-9a-f]{32}_[a-z2-7]{52}$`)

func newAPIKey(t testing.TB) (session.APIKey, string) {
	t.Helper()
	k, printed, err := session.NewAPIKey("acme", session.Platform, "back end")
	if err != nil {
		t.Fatal(err)
	}
	return k, printed
}

func TestAPIKeyRoundTrip(t *testing.T) {
	k, printed := newAPIKey(t)
	if !printedKey.MatchString(printed) {
		t.Errorf("printed as %q", printed)
	}
	if k.Tenant != "acme" || k.Role != session.Platform || k.Label != "back end" || len(k.Hash) != 32 || !k.CreatedAt.IsZero() {
		t.Errorf("%+v", k)
	}
	if strings.Contains(printed, string(k.Hash)) {
		t.Error("the printed key holds the hash")
	}
	id, hash, err := session.ParseAPIKey(printed)
	if err != nil || id != k.ID || !k.Matches(hash) {
		t.Errorf("parsed as %v, %v", id, err)
	}
	other, otherPrinted := newAPIKey(t)
	if other.ID == k.ID || otherPrinted == printed || other.Matches(hash) {
		t.Error("two keys are alike")
	}
	for name, hash := range map[string][]byte{"nothing": nil, "empty": {}, "half": hash[:16], "more": append(hash, 0)} {
		if k.Matches(hash) {
			t.Errorf("%s matches", name)
		}
	}
	if (&session.APIKey{}).Matches(nil) || (&session.APIKey{}).Matches([]byte{}) {
		t.Error("a key without a hash matches")
	}
}

func TestNewAPIKeyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		tenant string
		role   session.Role
		label  string
	}{
		"no tenant":      {"", session.Platform, ""},
		"tenant a path":  {"../acme", session.Platform, ""},
		"no role":        {"acme", "", ""},
		"agent":          {"acme", session.AgentRole, ""},
		"viewer":         {"acme", session.Viewer, ""},
		"unknown role":   {"acme", "admin", ""},
		"role cased":     {"acme", "Platform", ""},
		"label blank":    {"acme", session.Platform, "  "},
		"label of lines": {"acme", session.Platform, "a\nb"},
		"label ANSI":     {"acme", session.Platform, "\x1b[2J"},
		"label RTL":      {"acme", session.Platform, "a\u202eb"},
		"label no UTF-8": {"acme", session.Platform, "\xff"},
		"label long":     {"acme", session.Platform, strings.Repeat("a", 201)},
	} {
		if _, printed, err := session.NewAPIKey(c.tenant, c.role, c.label); !errors.Is(err, session.ErrInvalid) || printed != "" {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	for _, role := range []session.Role{session.Platform, session.Operator, session.Auditor} {
		if _, _, err := session.NewAPIKey("acme", role, ""); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func TestParseAPIKeyRefuses(t *testing.T) {
	_, good := newAPIKey(t)
	id, secret := good[6:38], good[39:]
	for name, printed := range map[string]string{
		"empty": "", "prefix alone": "ronde_", "no prefix": good[6:], "prefix cased": "Ronde" + good[5:],
		"id in upper case":     "ronde_" + strings.ToUpper(strings.Replace(id, id[:1], "a", 1)) + "_" + secret,
		"id with hyphens":      "ronde_0195a7c2-93b0-7d5e-8a41-3f6e0c9b2d17_" + secret,
		"secret in upper case": good[:39] + strings.ToUpper(secret),
		"no separator":         "ronde_" + id + secret,
		"other separator":      "ronde_" + id + "-" + secret,
		"short":                good[:len(good)-1],
		"long":                 good + "a",
		"padding":              good + "====",
		"space":                good + " ",
		"newline":              good + "\n",
		"newline inside":       good[:50] + "\n" + good[51:],
		"digit 1":              good[:50] + "1" + good[51:],
		"not ASCII":            good[:49] + "é" + good[51:],
		"bearer":               "Bearer " + good,
	} {
		if _, hash, err := session.ParseAPIKey(printed); !errors.Is(err, session.ErrToken) || hash != nil {
			t.Errorf("%s: %v, want the token error", name, err)
		}
	}
	// 52 characters hold four bits more than 32 bytes: one spelling is good.
	accepted := 0
	for _, last := range "abcdefghijklmnopqrstuvwxyz234567" {
		if _, _, err := session.ParseAPIKey(good[:len(good)-1] + string(last)); err == nil {
			accepted++
		}
	}
	if accepted != 2 { // the last character holds one bit of the secret
		t.Errorf("%d last characters are accepted, want 2", accepted)
	}
}

// FuzzParseAPIKey: what parses is printed in exactly one way, and nothing else
// parses.
func FuzzParseAPIKey(f *testing.F) {
	_, good := newAPIKey(f)
	f.Add(good)
	f.Add(strings.ToUpper(good))
	f.Add("ronde_" + strings.Repeat("0", 32) + "_" + strings.Repeat("a", 52))
	f.Add("")
	f.Fuzz(func(t *testing.T, printed string) {
		id, hash, err := session.ParseAPIKey(printed)
		if err != nil {
			return
		}
		if !printedKey.MatchString(printed) || len(hash) != 32 || strings.ReplaceAll(id.String(), "-", "") != printed[6:38] {
			t.Errorf("%q parses as %v", printed, id)
		}
	})
}

func BenchmarkParseAPIKey(b *testing.B) {
	k, printed := newAPIKey(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, hash, err := session.ParseAPIKey(printed); err != nil || !k.Matches(hash) {
			b.Fatal("does not match")
		}
	}
}
