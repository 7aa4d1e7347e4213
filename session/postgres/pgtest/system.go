package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// binaries are the paths of the two programs that a server needs.
type binaries struct{ initdb, postgres string }

// debianBinaries is where Debian puts them, one folder a version, none of which is in PATH.
const debianBinaries = "/usr/lib/postgresql/*/bin"

// findBinaries returns the newest version found in the folders that match pattern, or what PATH holds.
func findBinaries(pattern string) (binaries, error) {
	folders, err := filepath.Glob(pattern)
	if err != nil {
		return binaries{}, err
	}
	var found binaries
	newest := -1
	for _, folder := range folders {
		version, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder))) // 0 for a name that is no number: the last choice
		initdb, err1 := exec.LookPath(filepath.Join(folder, "initdb"))
		postgres, err2 := exec.LookPath(filepath.Join(folder, "postgres"))
		if err1 == nil && err2 == nil && version > newest {
			found, newest = binaries{initdb, postgres}, version
		}
	}
	if newest >= 0 {
		return found, nil
	}
	initdb, err1 := exec.LookPath("initdb")
	postgres, err2 := exec.LookPath("postgres")
	if err1 != nil || err2 != nil {
		return binaries{}, errors.New("there is no PostgreSQL server on this machine; " +
			"install the Debian package postgresql (make test does so where it may)")
	}
	return binaries{initdb, postgres}, nil
}

// account is the ordinary account that runs a server when the tests run as root, which PostgreSQL refuses to do. A nil
// account stands for our own.
type account struct{ uid, gid int }

// ordinaryAccount returns nil for an ordinary user, and for root the account postgres or, failing that, nobody.
func ordinaryAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &account{uid, gid}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody")
}

// credential makes a process run as the account.
func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// tempDir makes a temporary folder that belongs to the account and that it can reach: one below a folder that is
// closed to others would be of no use to it.
func (a *account) tempDir() (string, error) {
	parent := os.TempDir()
	if a != nil && !open(parent) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "ronde-pg-*")
	if err != nil {
		return "", err
	}
	if a != nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, a.uid, a.gid))
	}
	return dir, err
}

// open tells whether everybody may pass through a folder and all folders above it.
func open(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}
