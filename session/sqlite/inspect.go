package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
)

// Report is what Inspect finds in a file.
type Report struct {
	// Schema is the version that the file has, Known the one that this program
	// brings it to when it opens it.
	Schema, Known int
	// KeyringID is the keyring that the store has adopted; zero if none.
	KeyringID uuid.UUID
	// LastErasure is the highest number of a tombstone that was carried out.
	LastErasure int64
	// Sealed reports whether tracks are in it that have not expired by now.
	Sealed bool
}

// Inspect looks at the database file at path and changes nothing. The error is
// fs.ErrNotExist if there is no file, and tells a file of another program or of
// a newer Ronde in plain words.
func Inspect(ctx context.Context, path string) (r Report, err error) {
	if _, err := os.Stat(path); err != nil {
		return r, err
	}
	db := sql.OpenDB(connector{dataSource(path, readerSettings+"&mode=ro")})
	s := &Store{readers: db}
	err = s.read(ctx, func(q queryer) error {
		version, steps, err := schemaOf(q)
		r.Schema, r.Known = version, len(steps)
		if err != nil || version == 0 {
			return err
		}
		if err := hasSealed(q, time.Now(), &r.Sealed); err != nil || version < len(steps) {
			return err // an older file may have no table to ask for the rest
		}
		if err := adopted(q, &r.KeyringID); err != nil {
			return err
		}
		return lastErasure(q, &r.LastErasure)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return r, fmt.Errorf("inspect store %s: %w", path, err)
	}
	return r, nil
}
