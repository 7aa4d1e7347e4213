package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// Settings of every connection, as the driver's parameters.
const (
	commonSettings = "_busy_timeout=5000" + // how long a write waits for another process's
		"&_foreign_keys=on" +
		"&_secure_delete=on" // deleted rows are zeroed, wherever their pages go

	// synchronous=FULL syncs the log at every commit: what Append returned is
	// on the disk. The journal mode stays with the file.
	writerSettings = commonSettings + "&_journal_mode=WAL&_synchronous=FULL&_cache_size=-32000"
	readerSettings = commonSettings + "&_query_only=on&_stmt_cache_size=32"
)

// dataSource returns the driver's name of a file. As a URI it may hold any
// character, the driver's own separator included.
func dataSource(path, settings string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings
}

// connector opens connections without a name in the global list of drivers.
type connector struct{ dataSource string }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(c.dataSource)
}

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// prepareFile makes the file and its folder, so that neither is ever readable
// by others. SQLite gives its log and index the mode of the file.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make its file: %w", err)
	}
	// An existing file must not be opened here: closing it would drop the locks
	// that this process holds on it through another store.
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("make its file private: %w", err)
	}
	return nil
}
