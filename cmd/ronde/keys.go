package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"ronde/configs"
	"ronde/session"
)

// keysCmd manages the keys that tokens are signed with. It works beside running nodes.
type keysCmd struct {
	Rotate keysRotate `cmd:"" help:"Make a new key to sign tokens with, and remove those that nothing valid was signed with."`
}

// Help is the longer text of ronde keys --help.
func (keysCmd) Help() string {
	return `Agent tokens and links are signed with a key of the keyring. What is rotated is that key alone: what is stored stays
sealed as it is, and no token becomes void.

Examples:

    ronde keys rotate
    ronde keys rotate --json`
}

type keysRotate struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde keys rotate --help.
func (keysRotate) Help() string {
	return fmt.Sprintf(`The new key signs after a minute, when every node has read it; until then the one before does. That one goes on
verifying what it signed, and is removed by a later rotation, once none of it can be valid any more: a token lives for
%d days at most.

To make tokens void, revoke them: a link by DELETE /v1/links/{id}, an agent's by DELETE …/agents/{agent}/token.

Examples:

    ronde keys rotate
    ronde keys rotate --json --config /etc/ronde/ronde.yaml`, session.MaxTokenLife/(24*time.Hour))
}

// Run rotates.
func (cmd keysRotate) Run(ctx context.Context, c configs.Config, s streams) error {
	var r rotation
	err := withKeyring(ctx, c, func(store session.Store, ring session.Keyring, _ session.RootSecret) (err error) {
		if err := record(ctx, store, session.Access{Action: session.AccessKeysRotate}, "ronde keys rotate"); err != nil {
			return err
		}
		r, err = rotate(ctx, ring, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return s.printJSON(r)
	}
	return r.print(s)
}

// rotation is what was done, and what will be.
type rotation struct {
	Made    string    `json:"made"`
	Removed []string  `json:"removed"`
	Keys    []keyTerm `json:"keys"` // the newest first
}

type keyTerm struct {
	ID        string           `json:"id"`
	State     session.KeyState `json:"state"`
	CreatedAt time.Time        `json:"created_at"`
	SignsFrom time.Time        `json:"signs_from"`
	SpentFrom *time.Time       `json:"removable_from"` // null: until a newer key is there
}

// rotate makes a new key and removes those that are spent.
func rotate(ctx context.Context, ring session.Keyring, now time.Time) (rotation, error) {
	keys, err := ring.RotateSigningKey(ctx)
	if err != nil {
		return rotation{}, fmt.Errorf("--keys: %w", err)
	}
	r := rotation{Made: keys[0].ID, Removed: []string{}, Keys: []keyTerm{}}
	for _, t := range session.KeyTerms(keys, now) {
		if t.State == session.KeySpent {
			r.Removed = append(r.Removed, t.ID)
			continue
		}
		k := keyTerm{ID: t.ID, State: t.State, CreatedAt: t.CreatedAt, SignsFrom: t.SignsFrom}
		if !t.SpentFrom.IsZero() {
			k.SpentFrom = &t.SpentFrom
		}
		r.Keys = append(r.Keys, k)
	}
	if _, err := ring.RemoveSigningKeys(ctx, r.Removed...); err != nil {
		return rotation{}, fmt.Errorf("--keys: the key %s was made, but those that are spent could not be removed: %w", r.Made, err)
	}
	return r, nil
}

func (r *rotation) print(s streams) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATE\tSIGNS FROM\tREMOVABLE FROM")
	for _, k := range r.Keys {
		spent := "when a newer one is there"
		if k.SpentFrom != nil {
			spent = k.SpentFrom.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.State, k.SignsFrom.Format(time.RFC3339), spent)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, id := range r.Removed {
		if _, err := fmt.Fprintf(s.out, "%s was removed: nothing that it signed can be valid any more\n", id); err != nil {
			return err
		}
	}
	return nil
}
