package keyring_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ronde/session"
	"ronde/session/keyring"
)

const childFolder = "RONDE_TEST_KEYRING"

// TestMain lets the test binary stand for another node on the same machine.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child opens the keyring as soon as its standard input closes, and prints a
// hash of everything that it got.
func child(dir string) error {
	_, _ = os.Stdin.Read(make([]byte, 1))
	root, err := session.CreateRootSecret(dir + ".secret")
	if err != nil {
		return err
	}
	f, err := keyring.OpenFolder(dir, root)
	if err != nil {
		return err
	}
	ctx, sum := context.Background(), sha256.New()
	for i := range 30 {
		salt, err := f.Salt(ctx, fmt.Sprintf("tenant-%d", i%5), today+session.Day(i/5), today)
		if err != nil {
			return err
		}
		sum.Write(salt)
	}
	keys, err := f.EnsureSigningKey(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%v %v", keys, f.ID())
	fmt.Printf("%x", sum.Sum(nil))
	return f.Close()
}

// TestFolderIsShared: nodes that start together on an empty machine end up with
// one root secret, one keyring and the same keys.
func TestFolderIsShared(t *testing.T) {
	dir, _ := newFolder(t)
	const nodes = 4
	outputs := make([]string, nodes)
	starts := make([]func() error, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		starts[i] = in.Close
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
			outputs[i] = out.String()
		})
	}
	for _, start := range starts {
		if err := start(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	for _, out := range outputs {
		if out == "" || out != outputs[0] {
			t.Fatalf("the nodes disagree: %q", outputs)
		}
	}
}
