package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readme returns the block of shell commands that follows a marker in the README.
func readme(t *testing.T, marker string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	check(t, err)
	_, after, found := strings.Cut(string(text), marker+"\n```sh\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatalf("no commands behind %q in the README", marker)
	}
	return block
}

// TestFirstMissionOfReadme runs the README's first mission as it stands, but for the port, which may be taken.
func TestFirstMissionOfReadme(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("the README's commands need curl (Debian: curl)")
	}
	folder := t.TempDir()
	cmd, url := serving(t, []string{"--data", filepath.Join(folder, "data")})
	defer func() {
		check(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed, and says so
	}()
	self, err := os.Executable()
	check(t, err)
	check(t, os.Mkdir(filepath.Join(folder, "bin"), 0o755))
	check(t, os.Symlink(self, filepath.Join(folder, "bin", "ronde")))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	check(t, err)
	script := strings.ReplaceAll(readme(t, "<!-- a test runs these lines as they stand -->"), "localhost:8080", "127.0.0.1:"+port)
	script = strings.ReplaceAll(script, "ronde simulate", "ronde simulate --url "+url)

	ctx, cancel := context.WithTimeout(t.Context(), 2*testPatience)
	defer cancel()
	sh := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	sh.Dir, sh.Env = folder, append(os.Environ(), asProgram+"=1")
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"/live#", "acked", `"items":[{"agent":"badge-17"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
