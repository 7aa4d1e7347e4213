package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// Every kind of keyring has the same entries, under the same names: errors give
// them, and what is sealed is bound to them.
const (
	identityName   = "keyring"
	saltsPart      = "salts"
	signingPart    = "signing"
	tombstonesPart = "tombstones"
	holdsPart      = saltsPart + "/holds"
)

const (
	saltSize = 32
	// maxDay is 9999-12-31, the last day that a name can spell.
	maxDay session.Day = 2932896
)

// saltName returns the name of the salt of a tenant and expiry day.
func saltName(tenant string, day session.Day) string {
	return saltsPart + "/" + day.String() + "/" + tenant
}

// holdName returns the name of the salt of a hold.
func holdName(hold uuid.UUID) string { return holdsPart + "/" + hold.String() }

// untilName returns the name of what says, by its name alone, until when the salt
// of a hold is to live.
func untilName(hold uuid.UUID, until time.Time) string {
	return holdName(hold) + untilMark + until.UTC().Format(untilForm)
}

const (
	untilMark = ".until-"
	untilForm = "20060102T150405.000Z"
)

// forever is later than any hold ends.
var forever = (maxDay + 1).Time()

// parseUntil returns what a name of untilName says.
func parseUntil(name string) (hold uuid.UUID, until time.Time, err error) {
	id, end, _ := strings.Cut(name, untilMark)
	if hold, err = uuid.Parse(id); err != nil {
		return uuid.Nil, time.Time{}, err
	}
	until, err = time.Parse(untilForm, end)
	return hold, until, err
}

// holdEnds returns which of the names in the folder of holds are salts, and the
// latest time that others give each; zero if none does.
func holdEnds(names []string) map[uuid.UUID]time.Time {
	salts, times := map[uuid.UUID]time.Time{}, map[uuid.UUID]time.Time{}
	for _, name := range names {
		if hold, until, err := parseUntil(name); err == nil {
			if until.After(times[hold]) {
				times[hold] = until
			}
		} else if hold, err := uuid.Parse(name); err == nil {
			salts[hold] = time.Time{}
		}
	}
	for hold := range salts {
		salts[hold] = times[hold]
	}
	return salts
}

// validateSalt returns session.ErrInvalid for a tenant or a day that cannot be.
func validateSalt(tenant string, day session.Day) error {
	if err := session.ValidateTenant(tenant); err != nil {
		return err
	}
	return validateDay("expires_on", day)
}

func validateDay(field string, day session.Day) error {
	if day <= 0 || day > maxDay {
		return session.ErrInvalid.At(field).Because("must lie between 1970 and 9999")
	}
	return nil
}

// firstKept returns the day before which no salt is kept, before at the latest.
func firstKept(before session.Day, kept []session.SaltID) session.Day {
	for _, k := range kept {
		before = min(before, k.Day)
	}
	return before
}

// keptTenants returns the tenants whose salts are kept, by the day.
func keptTenants(kept []session.SaltID) map[session.Day][]string {
	tenants := map[session.Day][]string{}
	for _, k := range kept {
		tenants[k.Day] = append(tenants[k.Day], k.Tenant)
	}
	return tenants
}

// parseDay returns the day that a name spells.
func parseDay(name string) (session.Day, bool) {
	t, err := time.Parse(time.DateOnly, name)
	return session.DayOf(t), err == nil
}

// eachDay calls destroy for each day that a name spells, and returns how much it
// destroyed. What fails is named by its day, and holds up no other.
func eachDay(ctx context.Context, names []string, destroy func(day session.Day) (int, error)) (count int, err error) {
	var failed []error
	for _, name := range names {
		day, ok := parseDay(name)
		if !ok {
			continue // none of ours
		}
		if err := ctx.Err(); err != nil {
			failed = append(failed, err)
			break
		}
		n, err := destroy(day)
		count += n
		if err != nil {
			failed = append(failed, fmt.Errorf("destroy %s/%s: %w", saltsPart, name, err))
		}
	}
	return count, errors.Join(failed...)
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: it aborts the process instead
	return salt
}

// parseSalt returns the salt that an entry holds, which is all of it.
func parseSalt(name string, content []byte) ([]byte, error) {
	if len(content) != saltSize {
		return nil, fmt.Errorf("%s %w", name, ErrDamaged)
	}
	return content, nil
}

func parseIdentity(content []byte) (uuid.UUID, error) {
	id, err := uuid.FromBytes(content)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%s %w", identityName, ErrDamaged)
	}
	return id, nil
}

// A signing key's content is, in this order:
//
//	time of making (8), milliseconds since the epoch | seed (32)
//
// Its number orders it. Its id follows from the public key, so that no two
// keys can share one.
const signingSize = 8 + ed25519.SeedSize

// signingName returns the name of the key of that number: eight digits, so
// that the order of names is that of numbers.
func signingName(number int) string { return fmt.Sprintf("%s/%08d", signingPart, number) }

func newSigningKey() []byte {
	content := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: it aborts the process instead
	return append(content, seed...)
}

// numberedKey is a signing key with its number.
type numberedKey struct {
	number int
	session.SigningKey
}

// bare returns the keys without their numbers.
func bare(keys []numberedKey) []session.SigningKey {
	var all []session.SigningKey
	for _, k := range keys {
		all = append(all, k.SigningKey)
	}
	return all
}

// next returns the number of the key to be made, given all, the newest first. It
// was never given before: the newest is never removed.
func next(keys []numberedKey) int {
	if len(keys) == 0 {
		return 1
	}
	return keys[0].number + 1
}

// removable returns the numbers of the keys named, but never that of the newest.
func removable(keys []numberedKey, ids []string) []int {
	numbers := []int{}
	for i, k := range keys {
		if i > 0 && slices.Contains(ids, k.ID) {
			numbers = append(numbers, k.number)
		}
	}
	return numbers
}

func parseSigningKey(number int, content []byte) (numberedKey, error) {
	if len(content) != signingSize {
		return numberedKey{}, fmt.Errorf("%s %w", signingName(number), ErrDamaged)
	}
	seed := content[8:]
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	return numberedKey{number, session.SigningKey{
		ID:        hex.EncodeToString(sum[:8]),
		CreatedAt: time.UnixMilli(int64(binary.BigEndian.Uint64(content))).UTC(),
		Seed:      seed,
	}}, nil
}
