package session

import "time"

// KeyState says what a signing key is for at a time.
type KeyState string

// The states of a signing key, in the order in which it goes through them.
const (
	KeyNext     KeyState = "next"     // signs once every node knows it
	KeySigns    KeyState = "signs"    // signs new tokens
	KeyVerifies KeyState = "verifies" // signs no more; what it signed may be valid
	KeySpent    KeyState = "spent"    // nothing that it signed can be valid
)

// KeyTerm is when a signing key is what.
type KeyTerm struct {
	ID        string
	CreatedAt time.Time
	State     KeyState
	SignsFrom time.Time
	// SpentFrom is when the last token that it signed has expired, on whichever
	// node: zero as long as no newer key is there.
	SpentFrom time.Time
}

// KeyTerms returns when each of a keyring's signing keys, the newest first, is
// what, seen at now. A key is succeeded by the next one once every node knows
// that, and is spent MaxTokenLife after the last node may have signed with it.
func KeyTerms(keys []SigningKey, now time.Time) []KeyTerm {
	terms := make([]KeyTerm, len(keys))
	succeeded := false // by a key that signs
	for i, key := range keys {
		t := KeyTerm{ID: key.ID, CreatedAt: key.CreatedAt, SignsFrom: key.CreatedAt.Add(keysOverlap)}
		if i == len(keys)-1 {
			t.SignsFrom = key.CreatedAt // a key that is the only one need not wait
		}
		if i > 0 {
			t.SpentFrom = keys[i-1].CreatedAt.Add(keysOverlap + keysTrusted + MaxTokenLife)
		}
		switch {
		case succeeded && now.After(t.SpentFrom):
			t.State = KeySpent
		case succeeded:
			t.State = KeyVerifies
		case now.Before(t.SignsFrom):
			t.State = KeyNext
		default:
			t.State, succeeded = KeySigns, true
		}
		terms[i] = t
	}
	return terms
}
