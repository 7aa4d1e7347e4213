package keyring

import (
	"encoding/json"
	"fmt"
	"time"

	"ronde/session"
)

// tombstoneName returns the name of the tombstone of that number: eight digits,
// so that the order of names is that of numbers.
func tombstoneName(number int64) string { return fmt.Sprintf("%s/%08d", tombstonesPart, number) }

// tombstone is the content of an entry.
type tombstone struct {
	At        int64  `json:"at"` // milliseconds since the epoch
	Tenant    string `json:"tenant"`
	Agent     string `json:"agent,omitempty"`
	Pseudonym string `json:"pseudonym,omitempty"`
}

// tombstoneContent returns what is kept of t, and session.ErrInvalid if it names
// nobody.
func tombstoneContent(t *session.Tombstone) ([]byte, error) {
	if err := session.ValidateTenant(t.Tenant); err != nil {
		return nil, err
	}
	switch {
	case t.At.IsZero():
		return nil, session.ErrInvalid.At("at").Because("is missing")
	case (t.Agent == "") != (t.Pseudonym == ""):
		return nil, session.ErrInvalid.At("pseudonym").Because("belongs to an agent")
	}
	return json.Marshal(tombstone{At: t.At.UnixMilli(), Tenant: t.Tenant, Agent: t.Agent, Pseudonym: t.Pseudonym})
}

func parseTombstone(number int64, content []byte) (session.Tombstone, error) {
	var t tombstone
	if err := json.Unmarshal(content, &t); err != nil {
		return session.Tombstone{}, fmt.Errorf("%s %w", tombstoneName(number), ErrDamaged)
	}
	return session.Tombstone{
		Number: number, At: time.UnixMilli(t.At).UTC(), Tenant: t.Tenant, Agent: t.Agent, Pseudonym: t.Pseudonym,
	}, nil
}
