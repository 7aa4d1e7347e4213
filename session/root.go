package session

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	rootSize   = 32
	rootHidden = "[root secret]" // what every way of printing one gives
)

// RootSecret is the installation's own secret: 32 random bytes, the same on
// every node, kept apart from the store and from the keyring. Neither of those
// says anything without it.
//
// It never shows itself: printing, logging or marshalling one gives a
// placeholder. The zero RootSecret is none, and nothing can be derived from it.
type RootSecret struct {
	// A function, because fmt prints the unexported fields of a struct that
	// holds a RootSecret without asking its methods. It follows even pointers,
	// but of a function it can only print the address.
	bytes func() []byte
}

func rootOf(b [rootSize]byte) RootSecret {
	return RootSecret{bytes: func() []byte { return b[:] }}
}

// NewRootSecret returns a random root secret.
func NewRootSecret() RootSecret {
	var b [rootSize]byte
	_, _ = rand.Read(b[:]) // never fails: it aborts the process instead
	return rootOf(b)
}

// ParseRootSecret returns the secret that text spells: 64 hexadecimal digits
// and at most one newline after them. ErrInvalid, naming the rule, for any
// other text and for a secret that nobody drew at random.
func ParseRootSecret(text string) (RootSecret, error) {
	invalid := ErrInvalid.At("root secret")
	digits := strings.TrimSuffix(text, "\n")
	if len(digits) != hex.EncodedLen(rootSize) {
		return RootSecret{}, invalid.Because("must be %d hexadecimal digits, and is %d characters long", hex.EncodedLen(rootSize), len(digits))
	}
	var b [rootSize]byte
	if _, err := hex.Decode(b[:], []byte(digits)); err != nil {
		// The error of package hex quotes the character: not for a log.
		return RootSecret{}, invalid.Because("must be hexadecimal digits alone")
	}
	if rule := weakness(b[:]); rule != "" {
		return RootSecret{}, invalid.Because("%s; make one with: openssl rand -hex %d", rule, rootSize)
	}
	return rootOf(b), nil
}

// weakness returns the rule that b breaks if it is no random draw, or "". Each
// rule refuses fewer than one random draw in a billion.
func weakness(b []byte) string {
	var seen [256]bool
	var steps [256]int
	distinct, printable := 0, 0
	for i, c := range b {
		if !seen[c] {
			seen[c] = true
			distinct++
		}
		if c >= ' ' && c <= '~' {
			printable++
		}
		if i > 0 {
			steps[c-b[i-1]]++
		}
	}
	if distinct == 1 {
		return "must not repeat a single byte"
	}
	for _, n := range steps {
		if n > len(b)/4 {
			return "must not be a sequence"
		}
	}
	for period := 2; period <= len(b)/2; period++ {
		if string(b[period:]) == string(b[:len(b)-period]) {
			return "must not repeat a pattern"
		}
	}
	switch {
	case distinct < len(b)/2:
		return fmt.Sprintf("must have at least %d different bytes", len(b)/2)
	case printable == len(b):
		return "must be random bytes, not text"
	}
	return ""
}

// Derive returns a 32-byte key for one purpose: HKDF-SHA256 (RFC 5869) over the
// root secret and the salt, which may be nil, with the label and the parts as
// its info. No two lists of label and parts give the same info. It fails on the
// zero RootSecret alone.
func (r RootSecret) Derive(salt []byte, label string, parts ...string) ([]byte, error) {
	if r.IsZero() {
		return nil, errors.New("derive a key: there is no root secret")
	}
	info := appendBound(nil, label)
	for _, part := range parts {
		info = appendBound(info, part)
	}
	key, err := hkdf.Key(sha256.New, r.bytes(), salt, string(info), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return key, nil
}

// appendBound appends s with its length before it, so that neighbours cannot
// lend each other characters.
func appendBound(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// IsZero reports whether r is no secret.
func (r RootSecret) IsZero() bool { return r.bytes == nil }

// String returns a placeholder.
func (RootSecret) String() string { return rootHidden }

// GoString returns a placeholder.
func (RootSecret) GoString() string { return rootHidden }

// Format writes a placeholder, whatever the verb.
func (RootSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, rootHidden) }

// LogValue returns a placeholder.
func (RootSecret) LogValue() slog.Value { return slog.StringValue(rootHidden) }

// MarshalText returns a placeholder.
func (RootSecret) MarshalText() ([]byte, error) { return []byte(rootHidden), nil }
