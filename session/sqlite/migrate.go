package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// migrations holds the schema as steps, in the order of their names. A step
// that was released never changes; a new one is added.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as Ronde's: "Rond" in ASCII, kept in SQLite's
// own header field for that.
const applicationID = 0x526f6e64

var (
	errNewer   = errors.New("the database was written by a newer version of Ronde: use that version, or restore a backup")
	errForeign = errors.New("the file is a database of another program")
)

// migrate applies the steps that the file lacks. It runs in one write
// transaction, so two processes that open a new file at once do it once, and a
// crash leaves the old schema or the new one. How many were applied is kept in
// SQLite's user_version.
func migrate(t *tx) error {
	version, steps, err := schemaOf(t.query)
	if err != nil || version == len(steps) {
		return err
	}
	for _, step := range steps[version:] {
		text, err := migrations.ReadFile(step)
		if err != nil {
			return err
		}
		if err := t.script(string(text)); err != nil {
			return fmt.Errorf("apply %s: %w", step, err)
		}
	}
	return t.script(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(steps)))
}

// schemaOf returns how many steps a database has had, and all steps that there
// are. It refuses a database that has had others.
func schemaOf(q queryer) (version int, steps []string, err error) {
	var id, tables int
	if err := q.one([]any{&id, &version, &tables},
		"SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version"); err != nil {
		return 0, nil, fmt.Errorf("read schema version: %w", err)
	}
	steps, err = fs.Glob(migrations, "migrations/*.sql")
	switch {
	case err != nil:
		return 0, nil, err
	case id != applicationID && (id != 0 || tables != 0):
		return 0, nil, errForeign
	case version > len(steps):
		return 0, nil, fmt.Errorf("%w (schema %d; this one knows %d)", errNewer, version, len(steps))
	}
	return version, steps, nil
}

// script runs several statements, none of which is kept.
func (t *tx) script(text string) error {
	_, err := t.w.conn.ExecContext(context.Background(), text)
	return err
}
