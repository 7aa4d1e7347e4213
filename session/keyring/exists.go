package keyring

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ronde/session"
)

// FolderExists reports whether dir holds a keyring, of whichever root secret. A
// folder that is not there, or empty, holds none; one that cannot be looked
// into is an error.
func FolderExists(dir string) (bool, error) {
	info, err := os.Stat(filepath.Join(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}

// DatabaseExists reports whether the database that dsn names holds a keyring, of
// whichever root secret, and makes none. Its errors are those of OpenDatabase.
func DatabaseExists(ctx context.Context, dsn string) (there bool, err error) {
	found, err := Version(ctx, dsn)
	if err != nil {
		return false, err
	}
	if found != SchemaVersion {
		return false, &SchemaError{Found: found}
	}
	pool, err := connect(ctx, dsn, Patience)
	if err != nil {
		return false, err
	}
	defer pool.Close()
	err = pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM keyring)").Scan(&there)
	return there, unavailable(err)
}

// FolderSaltDays returns the expiry days of which the keyring in dir, or the copy
// of one, holds salts, in order, without opening it.
func FolderSaltDays(dir string) (days []session.Day, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, saltsPart))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		day, ok := parseDay(e.Name())
		if !ok {
			continue
		}
		salts, err := os.ReadDir(filepath.Join(dir, saltsPart, e.Name()))
		if err != nil {
			return nil, err
		}
		if len(salts) > 0 {
			days = append(days, day)
		}
	}
	return days, nil
}
