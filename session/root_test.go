package session_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ronde/session"
)

const goodRoot = "8f1d7c0ea94b63522cb8d3f7106e9ac5e47b21fd5836900c6ad1f2bb437e05c8"

func TestParseRootSecret(t *testing.T) {
	for name, text := range map[string]string{
		"digits": goodRoot, "newline": goodRoot + "\n", "upper case": strings.ToUpper(goodRoot),
	} {
		if root, err := session.ParseRootSecret(text); err != nil || root.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRootSecretRefuses(t *testing.T) {
	bytesOf := func(f func(i int) byte) string {
		b := make([]byte, 32)
		for i := range b {
			b[i] = f(i)
		}
		return hex.EncodeToString(b)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"one digit short": goodRoot[1:],
		"one digit more":  goodRoot + "0",
		"two newlines":    goodRoot + "\n\n",
		"carriage return": goodRoot + "\r\n",
		"space before":    " " + goodRoot,
		"no digits":       "g" + goodRoot[1:],
		"prefixed":        "0x" + goodRoot[2:],
		"zeros":           strings.Repeat("0", 64),
		"ones":            strings.Repeat("f", 64),
		"counting":        bytesOf(func(i int) byte { return byte(i) }),
		"counting down":   bytesOf(func(i int) byte { return byte(200 - i) }),
		"counting by 17":  bytesOf(func(i int) byte { return byte(i * 17) }),
		"mostly counting": bytesOf(func(i int) byte { return byte(i * (1 + i/12)) }),
		"keyboard":        strings.Repeat("0123456789abcdef", 4),
		"deadbeef":        strings.Repeat("deadbeef", 8),
		"half twice":      goodRoot[:32] + goodRoot[:32],
		"odd period":      (strings.Repeat(goodRoot[:22], 3))[:64],
		"few bytes":       bytesOf(func(i int) byte { return byte(crc32.ChecksumIEEE([]byte{byte(i)})) % 15 }),
		"text":            hex.EncodeToString([]byte("Zwei Boxkampfer! jagen Viktor q,7")[:32]),
	} {
		root, err := session.ParseRootSecret(text)
		if !errors.Is(err, session.ErrInvalid) || !root.IsZero() {
			t.Errorf("%s: %v, want invalid", name, err)
			continue
		}
		if len(text) > 20 && strings.Contains(err.Error(), text[:20]) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

// TestNewRootSecretIsStrong: what is drawn at random passes its own rules.
func TestNewRootSecretIsStrong(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		path := filepath.Join(dir, fmt.Sprint(i))
		if _, err := session.CreateRootSecret(path); err != nil {
			t.Fatal(err)
		}
		if _, err := session.LoadRootSecret(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRootSecretNeverShows(t *testing.T) {
	root, err := session.ParseRootSecret(goodRoot)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Exported session.RootSecret
		hidden   session.RootSecret
	}
	held := holder{root, root}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%b", "%o", "%U", "%c"} {
		fmt.Fprintf(&shown, verb+"\n", root)
		fmt.Fprintf(&shown, verb+"\n", &root)
		fmt.Fprintf(&shown, verb+"\n", held)
		fmt.Fprintf(&shown, verb+"\n", &held)
		fmt.Fprintf(&shown, verb+"\n", []any{root, map[string]session.RootSecret{"a": root}})
		fmt.Fprintf(&shown, verb+"\n", session.NewSealer(root, nil))
	}
	encoded, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(encoded)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&shown, nil), slog.NewTextHandler(&shown, nil)} {
		slog.New(handler).Info("test", "root", root, "pointer", &root, "held", held)
	}
	shown.WriteString(root.String() + root.GoString() + fmt.Sprint(root.LogValue()))
	raw, _ := hex.DecodeString(goodRoot)
	for _, form := range []string{
		goodRoot[:12], strings.ToUpper(goodRoot[:12]), string(raw[:4]),
		strings.Trim(fmt.Sprintf("%d", raw[:4]), "[]"), fmt.Sprintf("% x", raw[:4]),
		strings.Trim(fmt.Sprintf("%#v", raw[:4]), "[]byte{}"), strings.Trim(fmt.Sprintf("%b", raw[:4]), "[]"),
	} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("the secret shows as %q", form)
		}
	}
}

func TestLoadRootSecretRefusesOpenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.secret")
	if _, err := session.LoadRootSecret(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v, want not exist", err)
	}
	if _, err := session.CreateRootSecret(path); err != nil {
		t.Fatal(err)
	}
	for _, perm := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o601, 0o777} {
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
		_, err := session.LoadRootSecret(path)
		if !errors.Is(err, session.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprintf("%04o", perm)) {
			t.Errorf("mode %04o: %v, want invalid, naming the mode", perm, err)
		}
	}
	for _, perm := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
		if _, err := session.LoadRootSecret(path); err != nil {
			t.Errorf("mode %04o: %v", perm, err)
		}
	}
	if _, err := session.LoadRootSecret(filepath.Dir(path)); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("folder: %v, want invalid", err)
	}
}

func TestCreateRootSecretNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "root.secret")
	var wg sync.WaitGroup
	keys := make([]string, 16)
	for i := range keys {
		wg.Go(func() {
			root, err := session.CreateRootSecret(path)
			if err != nil {
				t.Error(err)
				return
			}
			key, err := root.Derive(nil, "test")
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(key)
		})
	}
	wg.Wait()
	for _, key := range keys {
		if key != keys[0] {
			t.Fatal("those who made it at once got different secrets")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 65 {
		t.Errorf("%v %v: want a file of mode 0600 and 65 bytes", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
	if err := os.WriteFile(path, []byte("not one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := session.CreateRootSecret(path); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("made one over a bad one: %v", err)
	}
}

func TestDerive(t *testing.T) {
	root, err := session.ParseRootSecret(goodRoot)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, c := range []struct {
		salt  string
		label string
		parts []string
	}{
		{"", "a", nil}, {"", "a", []string{""}}, {"", "a", []string{"", ""}}, {"", "", []string{"a"}},
		{"", "a", []string{"bc"}}, {"", "ab", []string{"c"}}, {"", "a", []string{"b", "c"}},
		{"", "abc", nil}, {"salt", "a", nil}, {"other", "a", nil},
	} {
		name := fmt.Sprintf("%q %q %q", c.salt, c.label, c.parts)
		key, err := root.Derive([]byte(c.salt), c.label, c.parts...)
		if err != nil || len(key) != 32 {
			t.Fatalf("%s: %d bytes, %v", name, len(key), err)
		}
		if other, ok := seen[string(key)]; ok {
			t.Errorf("%s gives the key of %s", name, other)
		}
		seen[string(key)] = name
	}
	if _, err := (session.RootSecret{}).Derive(nil, "a"); err == nil {
		t.Error("no root secret gives a key")
	}
}
