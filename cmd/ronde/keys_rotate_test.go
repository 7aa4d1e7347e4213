package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// TestKeysRotate rotates beside two nodes, on both sorts of keyring: who has a
// token keeps their socket and opens new ones, at either node.
func TestKeysRotate(t *testing.T) {
	server := pgtest.Start(t)
	for name, keys := range map[string]func(i *installation) string{
		"database": func(i *installation) string { return i.config.Keys },
		"folder":   func(*installation) string { return "file:" + filepath.Join(t.TempDir(), "keys") },
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t, server, server)
			i.config.Keys = keys(i)
			one, two := i.start(), i.start()
			mission := one.running()
			token := one.agentToken(mission)
			phone := phoneOf(one, token)
			args := []string{"keys", "rotate", "--store", i.config.Store, "--keys", i.config.Keys, "--root-secret-file", i.config.RootSecretFile}
			o := ronde(t, append(args, "--json")...)
			if o.code != exitOK {
				t.Fatal(o.errors)
			}
			var r rotation
			check(t, json.Unmarshal([]byte(o.out), &r))
			if len(r.Removed) != 0 || len(r.Keys) != 2 || r.Keys[0].ID != r.Made || r.Keys[0].State != session.KeyNext || r.Keys[0].SpentFrom != nil {
				t.Fatalf("rotated to %+v", r)
			}
			old := r.Keys[1]
			if old.State != session.KeySigns || old.SpentFrom == nil || old.SpentFrom.Sub(r.Keys[0].CreatedAt) < session.MaxTokenLife {
				t.Errorf("the key before is %+v", old)
			}
			if answer := phone.ping(1, time.Now()); answer["type"] != "ack" {
				t.Errorf("answer %v", answer)
			}
			for _, held := range []string{token, two.agentToken(mission)} {
				phoneOf(two, held)
				phoneOf(one, held)
			}
			o = ronde(t, args...)
			if o.code != exitOK || !strings.Contains(o.out, r.Made) || strings.Count(o.out, "\n") != 4 {
				t.Errorf("exit code %d: %s%s", o.code, o.out, o.errors)
			}
		})
	}
}

// TestKeysRotateRemoves: what is spent goes, and is named.
func TestKeysRotateRemoves(t *testing.T) {
	ring, err := keyring.OpenFolder(filepath.Join(t.TempDir(), "keys"), session.NewRootSecret())
	check(t, err)
	defer ring.Close()
	first, err := ring.EnsureSigningKey(t.Context())
	check(t, err)
	second, err := rotate(t.Context(), ring, time.Now())
	check(t, err)
	r, err := rotate(t.Context(), ring, time.Now().Add(session.MaxTokenLife+48*time.Hour))
	check(t, err)
	if !slices.Equal(r.Removed, []string{second.Made, first[0].ID}) || len(r.Keys) != 1 {
		t.Errorf("rotated to %+v, want %s and %s removed", r, second.Made, first[0].ID)
	}
	left, err := ring.SigningKeys(t.Context())
	check(t, err)
	if len(left) != 1 || left[0].ID != r.Made {
		t.Errorf("%d keys are left", len(left))
	}
}

// TestDoctorMakesNoSigningKey: a doctor that visits before any node has signed
// leaves the keyring as it is, and says how far it got.
func TestDoctorMakesNoSigningKey(t *testing.T) {
	data := t.TempDir()
	a := startConfigured(t, embedded(data))
	ring, err := keyring.OpenFolder(filepath.Join(data, "keys"), mustRoot(t, a))
	check(t, err)
	defer ring.Close()
	made := filepath.Join(data, "keys", "signing", "00000001")
	check(t, os.Remove(made))
	diagnose(t, "--data", data, "--public-url", a.config.PublicURL, "--listen", a.public.Addr().String(), "--ops-listen", a.ops.Addr().String()).
		want("probe", verdictWarn, "changes nothing")
	after, err := ring.SigningKeys(t.Context())
	check(t, err)
	if len(after) != 0 {
		t.Errorf("the doctor made %d keys", len(after))
	}
}

func mustRoot(t *testing.T, a *testApp) session.RootSecret {
	t.Helper()
	root, err := rootSecret(a.config)
	check(t, err)
	return root
}
