package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"ronde/session"
)

// asOrdinaryUser calls do on a thread to which file modes apply, even if the
// tests run as root: without CAP_DAC_OVERRIDE (1) and CAP_DAC_READ_SEARCH (2).
// The thread ends with it.
func asOrdinaryUser(t *testing.T, do func()) {
	t.Helper()
	type header struct {
		version uint32
		pid     int32
	}
	type data [3]uint32 // effective, permitted, inheritable
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: nobody else is to get it
		h, d := header{version: 0x20080522}, [2]data{}
		_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d)), 0)
		if errno == 0 {
			d[0][0] &^= 1<<1 | 1<<2
			_, _, errno = syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d)), 0)
		}
		if errno != 0 {
			done <- errno
			return
		}
		do()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Skip("cannot drop capabilities:", err)
	}
}

// TestFolderDenied takes away the modes of one tenant's salt, then of the whole
// folder. Nothing is answered that cannot be read, and nothing is made anew.
func TestFolderDenied(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	want := string(mustSalt(t, f, "other", today))
	salt := func(tenant string, now session.Day) (s []byte, err error) {
		asOrdinaryUser(t, func() { s, err = f.Salt(t.Context(), tenant, today, now) })
		return s, err
	}

	lock(t, filepath.Join(dir, "salts/2024-10-04/acme"))
	if _, err := salt("acme", today); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("salt of mode 000: %v, want unavailable", err)
	}
	if got, err := salt("other", today); string(got) != want || err != nil {
		t.Errorf("another tenant's salt: %v", err)
	}

	lock(t, filepath.Join(dir, "salts"))
	for _, now := range []session.Day{today, today + 1} {
		if _, err := salt("other", now); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("salt in a folder of mode 000: %v, want unavailable", err)
		}
	}
	lock(t, filepath.Join(dir, "signing"))
	lock(t, filepath.Join(dir, "destroyed"))
	var signing, destroying error
	asOrdinaryUser(t, func() {
		_, signing = f.EnsureSigningKey(t.Context())
		_, destroying = f.DestroySalts(t.Context(), today+1)
	})
	if !errors.Is(signing, session.ErrUnavailable) || !errors.Is(destroying, session.ErrUnavailable) {
		t.Errorf("signing keys: %v, destroying: %v, want unavailable", signing, destroying)
	}
}

// lock sets the mode to 000 until the test ends.
func lock(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(path, info.Mode().Perm()) })
}
