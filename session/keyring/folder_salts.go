package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"ronde/session"
)

// attempts is how often a salt is tried that others make or destroy at the
// same time. Each failed one means that another process got further.
const attempts = 8

// Salt implements session.Keyring. It also returns session.ErrInvalid for a
// tenant or a day that cannot be.
func (f *Folder) Salt(ctx context.Context, tenant string, day, today session.Day) ([]byte, error) {
	if err := validateSalt(tenant, day); err != nil {
		return nil, err
	}
	if err := asked(ctx); err != nil {
		return nil, err
	}
	name := saltName(tenant, day)
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
	content, err := f.read(name)
	if err != nil {
		return nil, err
	}
	return parseSalt(name, content)
}

// makeSalt makes the salt of that name if it may still be made and nobody has
// made it meanwhile.
func (f *Folder) makeSalt(name string, day, today session.Day) error {
	// Without the folder nothing is known, least of all that a salt is gone.
	if _, err := f.root.Stat(saltsPart); err != nil {
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
		err = f.sync(saltsPart)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	err = f.create(name, newSalt())
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

// SaltDays implements session.Keyring.
func (f *Folder) SaltDays(ctx context.Context) ([]session.Day, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	names, err := f.names(saltsPart)
	if err != nil {
		return nil, unavailable(err)
	}
	var days []session.Day
	for _, name := range names {
		day, ok := parseDay(name)
		if !ok {
			continue
		}
		salts, err := f.names(path.Join(saltsPart, name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // destroyed meanwhile
		case err != nil:
			return nil, unavailable(err)
		case len(salts) > 0:
			days = append(days, day)
		}
	}
	return days, nil
}

// DestroySalts implements session.Keyring. First it records the day, from when
// on Salt gives no earlier one, whatever day its caller takes for today; then it
// destroys the files. If some cannot be destroyed the others are, and the error
// names those; ask again. The day that it records is no later than that of a salt
// that is kept, which Salt is to give.
func (f *Folder) DestroySalts(ctx context.Context, before session.Day, kept ...session.SaltID) (int, error) {
	if err := validateDay("day", before); err != nil {
		return 0, err
	}
	if err := asked(ctx); err != nil {
		return 0, err
	}
	keep := keptTenants(kept)
	if err := f.markDestroyed(firstKept(before, kept)); err != nil {
		return 0, unavailable(err)
	}
	days, err := f.names(saltsPart)
	if err != nil {
		return 0, unavailable(err)
	}
	count, err := eachDay(ctx, days, func(day session.Day) (int, error) {
		if day >= before {
			return 0, nil
		}
		return f.destroyDay(path.Join(saltsPart, day.String()), keep[day])
	})
	return count, unavailable(errors.Join(err, f.sync(saltsPart)))
}

// DestroyTenantSalts implements session.Keyring. It also returns
// session.ErrInvalid for a tenant that cannot be.
func (f *Folder) DestroyTenantSalts(ctx context.Context, tenant string) (int, error) {
	if err := session.ValidateTenant(tenant); err != nil {
		return 0, err
	}
	if err := asked(ctx); err != nil {
		return 0, err
	}
	days, err := f.names(saltsPart)
	if err != nil {
		return 0, unavailable(err)
	}
	count, err := eachDay(ctx, days, func(day session.Day) (int, error) {
		name := saltName(tenant, day)
		done, err := f.destroy(name)
		if !done {
			return 0, err
		}
		return 1, errors.Join(err, f.sync(path.Dir(name)))
	})
	return count, unavailable(err)
}

// destroyDay destroys everything in the folder of one day, what a crash left
// behind included, but for the salts of tenants that are kept, and returns how
// many salts went.
func (f *Folder) destroyDay(dir string, kept []string) (int, error) {
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
		// A salt that was made and a crash may share one file: see create.
		if slices.Contains(kept, name) || len(kept) > 0 && strings.HasPrefix(name, unfinished) {
			continue
		}
		done, err := f.destroy(path.Join(dir, name))
		if err != nil {
			failed = append(failed, err)
		}
		if done && !strings.HasPrefix(name, hidden) {
			count++
		}
	}
	if len(failed) == 0 {
		// Not empty if a salt is kept, or being made at this moment: nobody will
		// get that, and the next call removes it.
		_ = f.root.Remove(dir)
	}
	return count, errors.Join(failed...)
}

// markers returns the days before which all salts were destroyed. The latest
// counts, so that it never goes back. Only names are looked at: a damaged
// marker is still one.
func (f *Folder) markers() ([]session.Day, error) {
	names, err := f.names(destroyedPart)
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
	err := f.create(path.Join(destroyedPart, before.String()), nil)
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
		err := f.root.Remove(path.Join(destroyedPart, day.String()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
