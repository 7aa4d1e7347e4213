package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ronde/configs"
)

// checkFolder returns why this process could not keep files in dir, or in a dir
// that it would have to make. It leaves nothing behind.
func checkFolder(dir string) error {
	existing, err := nearestFolder(dir)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(existing, ".ronde-check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// nearestFolder returns dir or the nearest folder above it that exists.
func nearestFolder(dir string) (string, error) {
	dir = filepath.Clean(dir)
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is no folder", dir)
		case err == nil:
			return dir, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", err
		}
		dir = parent
	}
}

// explainFolder adds to an error about a file in dir what to do about the
// folder, if that is at fault.
func explainFolder(c configs.Config, dir string, err error) error {
	if err == nil || checkFolder(dir) == nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, folderAdvice(c, dir))
}

// folderAdvice says what to do about a folder that cannot be written to.
func folderAdvice(c configs.Config, dir string) string {
	flag := "--data"
	if filepath.Clean(dir) != filepath.Clean(c.Data) {
		flag = "the setting that names it"
	}
	return fmt.Sprintf("uid %d must be able to write to the folder %s: chown it, or name another with %s", os.Geteuid(), dir, flag)
}
