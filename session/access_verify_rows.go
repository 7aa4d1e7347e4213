package session

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// datingSlack is how far the dates of rows may disagree with the order in which
// they got their leaves, as transactions that commit late and drifting clocks make
// them.
const datingSlack = 5 * time.Minute

// judgeRow looks at a row that the signed tree has. That it was signed says that it
// was there at that time, not who put it there: somebody who writes to the database
// can add a row, which then gets its leaf like any other. Such a row has no valid
// MAC. The MAC leaves out the time, which the database gives: of that the order of
// the leaves tells. Their checkpoints' times alone would not do: what waited for
// long because nobody could sign is older than the checkpoint before it.
func (c *verification) judgeRow(row *LoggedAccess) {
	leaf := row.Leaf
	if key := c.verifier.rows; key != nil && !key.Authentic(&row.Access) {
		c.found(FaultRowForged, leaf, leaf, "forged: no node or command of this installation made it")
		return // its date says nothing of others
	}
	for c.covering < len(c.signed)-1 && c.signed[c.covering].Size <= leaf {
		c.covering++
	}
	signed := c.signed[c.covering]
	switch {
	case row.At.Before(c.latest.Add(-datingSlack)):
		c.found(FaultBackdated, leaf, leaf, "dated back: it says %s, and a row before it %s", stamp(row.At), stamp(c.latest))
	case row.At.After(signed.At.Add(datingSlack)):
		c.found(FaultPostdated, leaf, leaf, "dated forward: it says %s, and was signed at %s", stamp(row.At), stamp(signed.At))
	case row.At.After(c.latest):
		c.latest = row.At
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// findLost finds checkpoints outside that the database should have as well. It keeps
// all of a day until that is over, then its last, until what that covers is purged:
// see Store.PurgeAccess. What the tree itself belies is named already.
func (c *verification) findLost(proven int64) {
	if c.replaced {
		return // by one that is named as forged
	}
	today := c.now.UTC().Truncate(24 * time.Hour)
	old := c.purgeable()
	for i, s := range c.signed {
		if s.Size > proven {
			return
		}
		if i+1 < len(c.signed) {
			later := c.signed[i+1]
			if later.Size == s.Size || later.At.Before(today) && DayOf(later.At) == DayOf(s.At) {
				continue // the same again, or the later one stands for the day
			}
		}
		if s.Size >= old && !c.inDatabase[s.Size] {
			c.found(FaultCheckpointMissing, -1, -1, "the checkpoint of %s over %d rows is kept outside, and is no longer in the database", c.when(s), s.Size)
		}
	}
}

// VerifyStoredLog is VerifyAccessLog for a store. It knows also whether there is
// anything that must have been recorded: a log that is empty, beside missions, was
// emptied, and nothing in it could tell.
func VerifyStoredLog(ctx context.Context, store Store, v *AccessVerifier, outside []NamedCheckpoint) (*AccessReport, error) {
	now, err := store.Now(ctx)
	if err != nil {
		return nil, err
	}
	r, err := VerifyAccessLog(ctx, store, v, outside, now)
	if err != nil || r.Newest.Size > 0 || len(r.Findings) > 0 {
		return r, err
	}
	st, err := store.AccessState(ctx)
	if err != nil || st.Size > 0 || !st.Pending.IsZero() {
		return r, err // rows that wait for their leaves are a log
	}
	tenants, err := store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tenants {
		missions, err := store.Missions(ctx, t.Name, MissionFilter{}, uuid.Nil, 1)
		if err != nil {
			return nil, err
		}
		if len(missions) > 0 {
			r.Findings = append(r.Findings, AccessFinding{FaultEmptied, -1, -1, "the log is empty, and there are missions: whatever was recorded of them was removed, with every checkpoint that was given"})
			return r, nil
		}
	}
	return r, nil
}
