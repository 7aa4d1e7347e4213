package keyring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FolderExists reports whether dir holds a keyring, of whichever root secret. A
// folder that is not there, or empty, holds none; one that cannot be looked
// into is an error.
func FolderExists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
