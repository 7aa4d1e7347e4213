package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"ronde/session"
)

const (
	saltSize = 32
	// maxDay is 9999-12-31, the last day that a name can spell.
	maxDay session.Day = 2932896
	// attempts is how often a salt is tried that others make or destroy at the
	// same time. Each failed one means that another process got further.
	attempts = 8
)

// Salt implements session.Keyring. It also returns session.ErrInvalid for a
// tenant or a day that cannot be.
func (f *Folder) Salt(ctx context.Context, tenant string, day, today session.Day) ([]byte, error) {
	if err := session.ValidateTenant(tenant); err != nil {
		return nil, err
	}
	if day <= 0 || day > maxDay {
		return nil, session.ErrInvalid.At("expires_on").Because("must lie between 1970 and 9999")
	}
	if err := asked(ctx); err != nil {
		return nil, err
	}
	name := path.Join(saltsDir, day.String(), tenant)
	for range attempts {
		salt, err := f.readSalt(name)
		if errors.Is(err, fs.ErrNotExist) {
			if err := f.makeSalt(name, day, today); err != nil {
				return nil, unavailable(err)
			}
			continue
		}
		// Asked after reading: a salt that was made while the others of its day
		// were destroyed is given to nobody, nor reported as damaged by it.
		if gone := f.lasting(day); gone != nil {
			return nil, unavailable(gone)
		}
		return salt, unavailable(err)
	}
	return nil, unavailable(fmt.Errorf("%s keeps changing", name))
}

func (f *Folder) readSalt(name string) ([]byte, error) {
	salt, err := f.read(name)
	if err == nil && len(salt) != saltSize {
		return nil, fmt.Errorf("%s %w", name, ErrDamaged)
	}
	return salt, err
}

// makeSalt makes the salt of that name if it may still be made and nobody has
// made it meanwhile.
func (f *Folder) makeSalt(name string, day, today session.Day) error {
	// Without the folder nothing is known, least of all that a salt is gone.
	if _, err := f.root.Stat(saltsDir); err != nil {
		return err
	}
	if day < today {
		return session.ErrGone
	}
	if err := f.lasting(day); err != nil {
		return err
	}
	err := f.root.Mkdir(path.Dir(name), 0o700)
	if err == nil {
		err = f.sync(saltsDir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: it aborts the process instead
	err = f.create(name, salt)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil // another made it, or removed the day's folder: look again
	}
	return err
}

// lasting returns session.ErrGone if the salts of that day were destroyed, or
// are being.
func (f *Folder) lasting(day session.Day) error {
	markers, err := f.markers()
	if err == nil && len(markers) > 0 && day < slices.Max(markers) {
		return session.ErrGone
	}
	return err
}

// DestroySalts implements session.Keyring. First it records the day, from when
// on Salt gives no earlier one, whatever day its caller takes for today; then it
// destroys the files. If some cannot be destroyed the others are, and the error
// names those; ask again.
func (f *Folder) DestroySalts(ctx context.Context, before session.Day) (int, error) {
	if before <= 0 || before > maxDay {
		return 0, session.ErrInvalid.At("day").Because("must lie between 1970 and 9999")
	}
	if err := asked(ctx); err != nil {
		return 0, err
	}
	if err := f.markDestroyed(before); err != nil {
		return 0, unavailable(err)
	}
	days, err := f.names(saltsDir)
	if err != nil {
		return 0, unavailable(err)
	}
	count := 0
	var failed []error
	for _, name := range days {
		if day, ok := parseDay(name); !ok || day >= before {
			continue
		}
		if err := asked(ctx); err != nil {
			failed = append(failed, err)
			break
		}
		n, err := f.destroyDay(path.Join(saltsDir, name))
		count += n
		if err != nil {
			failed = append(failed, err)
		}
	}
	failed = append(failed, f.sync(saltsDir))
	return count, unavailable(errors.Join(failed...))
}

// destroyDay destroys everything in the folder of one day, what a crash left
// behind included, and returns how many salts there were.
func (f *Folder) destroyDay(dir string) (int, error) {
	names, err := f.names(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // another process was faster
	}
	if err != nil {
		return 0, err
	}
	count := 0
	var failed []error
	for _, name := range names {
		done, err := f.destroy(path.Join(dir, name))
		if err != nil {
			failed = append(failed, err)
		}
		if done && !strings.HasPrefix(name, hidden) {
			count++
		}
	}
	if len(failed) == 0 {
		// Not empty if a salt is being made at this moment: nobody will get
		// it, and the next call removes it.
		_ = f.root.Remove(dir)
	}
	return count, errors.Join(failed...)
}

// markers returns the days before which all salts were destroyed. The latest
// counts, so that it never goes back. Only names are looked at: a damaged
// marker is still one.
func (f *Folder) markers() ([]session.Day, error) {
	names, err := f.names(destroyedDir)
	if err != nil {
		return nil, err
	}
	var days []session.Day
	for _, name := range names {
		if day, ok := parseDay(name); ok {
			days = append(days, day)
		}
	}
	return days, nil
}

// markDestroyed records that all salts that expired before that day are to go.
func (f *Folder) markDestroyed(before session.Day) error {
	err := f.create(path.Join(destroyedDir, before.String()), nil)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	days, err := f.markers()
	if err != nil {
		return err
	}
	// The latest but one stays: whoever lists the folder while a marker is
	// added and another removed sees one of the two.
	slices.Sort(days)
	for _, day := range days[:max(0, len(days)-2)] {
		err := f.root.Remove(path.Join(destroyedDir, day.String()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// parseDay returns the day that a name spells.
func parseDay(name string) (session.Day, bool) {
	t, err := time.Parse(time.DateOnly, name)
	return session.DayOf(t), err == nil
}
