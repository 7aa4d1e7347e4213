package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ronde/session/postgres/pgtest"
)

// idleNode are the arguments of a doctor who looks at a node that does not run.
func idleNode(data string, more ...string) []string {
	return append([]string{"--data", data, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, more...)
}

// processed runs ronde doctor as a process of its own.
func processed(t *testing.T, cmd *exec.Cmd) *diagnosis {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its exit code says it
	return diagnosed(t, outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()})
}

func TestDoctorData(t *testing.T) {
	folder := closedFolder(t)
	d := processed(t, ordinary(program(t, append([]string{"doctor", "--json"}, idleNode(folder)...)...)))
	d.want("data", verdictFail, "permission denied", "chown", folder)
	d.want("store", verdictFail, "permission denied")

	file := writeFile(t, "no folder")
	diagnose(t, idleNode(filepath.Join(file, "data"))...).want("data", verdictFail, "not a directory")
	diagnose(t, idleNode(file)...).want("data", verdictFail, "is no folder")

	for free, want := range map[uint64]string{0: verdictFail, 50 << 20: verdictFail, 100 << 20: verdictWarn, 2 << 30: verdictOK} {
		if f := judgeSpace("data", free); f.Verdict != want {
			t.Errorf("%d bytes free: %s, want %s", free, f.Verdict, want)
		}
	}
	// Where nothing is kept, nothing is asked for.
	d = diagnose(t, idleNode(file, "--store", "postgres://nobody@127.0.0.1:1/ronde", "--keys", "file:/elsewhere/keys", "--root-secret-file", "/elsewhere/secret", "--checkpoints", "/elsewhere/witness")...)
	if f, said := d.all["data"]; said {
		t.Errorf("a folder that is not used: %v", f)
	}
}

func TestDoctorCheckpoints(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	diagnose(t, idleNode(data)...).want("checkpoints", verdictOK, "will be made at the first start")
	if _, err := os.Stat(data); err == nil {
		t.Error("the doctor made the folder")
	}
	diagnose(t, idleNode(served(t))...).want("checkpoints", verdictOK, "can be written to")
	diagnose(t, idleNode(data, "--checkpoints", "/nowhere/witness")...).want("checkpoints", verdictFail, "/nowhere/witness", "mkdir", "--checkpoints")
	folder := closedFolder(t)
	d := processed(t, ordinary(program(t, append([]string{"doctor", "--json"}, idleNode(data, "--checkpoints", folder)...)...)))
	d.want("checkpoints", verdictFail, "permission denied", "chown")
}

func TestDoctorRootSecret(t *testing.T) {
	data := served(t)
	secret := filepath.Join(data, "root.secret")
	diagnose(t, idleNode(data)...).want("root secret", verdictOK, "random")
	check(t, os.Chmod(secret, 0o640))
	diagnose(t, idleNode(data)...).want("root secret", verdictFail, "0640", "chmod 600")
	check(t, os.Chmod(secret, 0o600))
	check(t, os.WriteFile(secret, []byte("changeme"), 0o600))
	d := diagnose(t, idleNode(data)...)
	d.want("root secret", verdictFail, "64 hexadecimal digits")
	d.want("keys", verdictFail, "without a root secret")
	diagnose(t, idleNode(t.TempDir(), "--store", "postgres://nobody@127.0.0.1:1/ronde")...).
		want("root secret", verdictFail, "openssl rand -hex 32", "--root-secret-file")
}

func TestDoctorFiles(t *testing.T) {
	limited := func(n string, args ...string) *diagnosis {
		t.Helper()
		cmd := program(t)
		cmd.Args = append([]string{"sh", "-c", `ulimit -n ` + n + `; exec "$0" "$@"`, cmd.Path, "doctor", "--json"}, args...)
		sh, err := exec.LookPath("sh")
		check(t, err)
		cmd.Path = sh
		return processed(t, cmd)
	}
	limited("1024", idleNode(t.TempDir())...).want("files", verdictWarn, "1024 files", "524 sockets", "LimitNOFILE")

	// Of a node that runs, it is the node's limit that counts.
	a := startConfigured(t, embedded(filepath.Join(t.TempDir(), "data")))
	limited("1024", "--data", a.config.Data, "--public-url", a.config.PublicURL, "--idle", "0s",
		"--listen", a.public.Addr().String(), "--ops-listen", a.ops.Addr().String()).want("files", verdictOK, "the running node")
}

func TestDoctorListen(t *testing.T) {
	address, port := taken(t)
	d := diagnose(t, "--data", t.TempDir(), "--listen", address, "--ops-listen", "192.0.2.1:1", "--wait", "1s")
	d.want("listen", verdictFail, "not by a Ronde", "ss -ltnp 'sport = :"+port+"'")
	d.want("ops-listen", verdictFail, "ip address")

	other := httptest.NewServer(nil) // answers, and is no Ronde
	defer other.Close()
	diagnose(t, "--data", t.TempDir(), "--listen", strings.TrimPrefix(other.URL, "http://"), "--ops-listen", "127.0.0.1:0").
		want("listen", verdictFail, "not by a Ronde")
}

// TestDoctorOfAnother: a doctor that was not given what the running node has does
// not call that node's installation sound.
func TestDoctorOfAnother(t *testing.T) {
	a := startConfigured(t, embedded(filepath.Join(t.TempDir(), "data")))
	here := []string{"--public-url", a.config.PublicURL, "--idle", "0s", "--listen", a.public.Addr().String(), "--ops-listen", a.ops.Addr().String()}
	diagnose(t, append(here, "--data", a.config.Data)...).want("listen", verdictOK, "a Ronde serves")
	diagnose(t, append(here, "--data", t.TempDir())...).want("listen", verdictFail, "not with these settings", "ronde.db", "--config")
}

// TestDoctorSaysWhatANodeLacks: a node that runs and is not ready says why.
func TestDoctorSaysWhatANodeLacks(t *testing.T) {
	server := pgtest.StartPrivate(t)
	a := startAppOn(t, newDatabase(t, server))
	check(t, server.Stop(pgtest.Fast))
	d := diagnose(t, "--data", a.config.Data, "--store", a.config.Store, "--root-secret-file", a.config.RootSecretFile, "--idle", "0s",
		"--public-url", a.config.PublicURL, "--listen", a.public.Addr().String(), "--ops-listen", a.ops.Addr().String())
	d.want("ops-listen", verdictFail, "not ready", "store", "is the database of --store up")
	d.want("store", verdictFail, "pg_hba.conf")
}

func TestDoctorPublicURL(t *testing.T) {
	for _, c := range []struct{ url, listen, want, says string }{
		{"https://ronde.example", "127.0.0.1:8080", verdictOK, "https://ronde.example"},
		{"http://ronde.example", "127.0.0.1:8080", verdictFail, "TLS"},
		{"http://10.0.0.1:8080", "10.0.0.1:8080", verdictFail, "https alone"},
		{"http://127.0.0.1:8080", "127.0.0.1:8080", verdictWarn, "this machine alone"},
		{"http://localhost", "127.0.0.1:80", verdictWarn, "this machine alone"},
		{"http://localhost:9999", "127.0.0.1:8080", verdictWarn, "another port"},
		{"http://[::1]:9999", "127.0.0.1:8080", verdictWarn, "another port"},
		{"https://localhost", "127.0.0.1:8080", verdictWarn, "this machine alone"},
		{"", "127.0.0.1:0", verdictWarn, "no public URL yet"},
	} {
		settings := embedded("data")
		settings.PublicURL, settings.Listen = c.url, c.listen
		f := newDoctor(settings, doctorCmd{}).checkPublicURL(t.Context())
		if f.Verdict != c.want || !strings.Contains(f.Found+f.Advice, c.says) {
			t.Errorf("%s at %s: %+v, want %s: %s", c.url, c.listen, f, c.want, c.says)
		}
	}
}
