package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test binary start a server, say where, and wait to be
// killed.
const childEnv = "RONDE_REDISTEST_CHILD"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLifecycle(t *testing.T) {
	var dir string
	var pid int
	t.Run("a server", func(t *testing.T) {
		s := Start(t, "maxclients 77")
		dir = s.dir
		if got := s.setting(t, "maxclients"); got != "77" {
			t.Errorf("maxclients is %s", got)
		}
		s.Do(t, "set", "k", "v")
		s.Freeze(t)
		s.Thaw(t)
		if got := s.Do(t, "get", "k"); got != "v" {
			t.Errorf("after a pause it holds %v", got)
		}
		s.Restart(t)
		if got := s.Do(t, "get", "k"); got != nil {
			t.Errorf("after a crash it still holds %v", got)
		}
		pid = s.process.Pid
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v", dir, err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the server outlives its test")
	}
}

func TestCluster(t *testing.T) {
	c := StartCluster(t, 3)
	owners := map[*Server]int{}
	for _, slot := range []int{0, 5000, 6000, 10000, 11000, 16383} {
		owners[c.Owner(t, slot)]++
	}
	for _, s := range c.Masters {
		if owners[s] != 2 {
			t.Errorf("the slots are split %v", owners)
		}
	}
	c.Move(t, 0, c.Masters[2])
	if got := c.Owner(t, 0); got != c.Masters[2] {
		t.Errorf("slot 0 belongs to port %d after it was moved to %d", got.Port, c.Masters[2].Port)
	}
}

// TestWatchdog: a server does not outlive a test process that is killed.
func TestWatchdog(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		s := Start(t)
		fmt.Printf("folder %s\n", s.dir)
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWatchdog$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	if _, err := fmt.Fscanf(out, "folder %s\n", &dir); err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
	proc := "/proc/" + strings.TrimSpace(string(pid))
	gone := poll(func() bool {
		_, process := os.Stat(filepath.Join(proc, "exe"))
		_, folder := os.Stat(dir)
		return os.IsNotExist(process) && os.IsNotExist(folder)
	})
	if !gone {
		t.Errorf("the server or its folder %s outlives the test process", dir)
	}
}
