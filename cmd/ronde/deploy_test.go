package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"ronde/configs"
	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestComposeHealthcheck runs the command by which compose learns whether a node
// is ready, on a node that is and on one that is not.
func TestComposeHealthcheck(t *testing.T) {
	var compose struct {
		Services map[string]struct{ Healthcheck struct{ Test []string } }
	}
	check(t, yaml.Unmarshal([]byte(shipped(t, "compose.yaml")), &compose))
	healthy := func(address string) error {
		test := compose.Services["ronde1"].Healthcheck.Test
		if len(test) != 4 || test[0] != "CMD" {
			t.Fatalf("the health check is %q", test)
		}
		command := replace(t, test[3], "/dev/tcp/127.0.0.1/9090", "/dev/tcp/"+strings.Replace(address, ":", "/", 1))
		return exec.CommandContext(t.Context(), test[1], test[2], command).Run()
	}
	a := startConfigured(t, embedded(t.TempDir()))
	if err := healthy(a.ops.Addr().String()); err != nil {
		t.Errorf("a node that is ready: %v", err)
	}
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer unready.Close()
	if healthy(strings.TrimPrefix(unready.URL, "http://")) == nil {
		t.Error("a node that is not ready is taken for healthy")
	}
	check(t, a.stop())
	if healthy(a.ops.Addr().String()) == nil {
		t.Error("a node that is gone is taken for healthy")
	}
}

// TestUnitSettings makes the configuration as the unit says, and finds in it all
// that the unit's node has: a doctor which is given that file examines that node.
func TestUnitSettings(t *testing.T) {
	unit := shipped(t, "ronde.service")
	var command string
	for line := range strings.Lines(unit) {
		if words, ok := strings.CutPrefix(line, "#     sed "); ok {
			command = "sed " + words
		}
		if strings.HasPrefix(line, "Environment=") {
			t.Errorf("the doctor does not see %s", line)
		}
	}
	file := filepath.Join(t.TempDir(), "ronde.yaml")
	sh := exec.CommandContext(t.Context(), "sh", "-c", replace(t, command, "/etc/ronde/ronde.yaml", file))
	sh.Dir = filepath.Join("..", "..", "configs")
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := configs.Load(configs.Sources{File: file})
	check(t, err)
	if c.Data != "/var/lib/ronde" || c.RootSecretFile != "/etc/ronde/root.secret" {
		t.Errorf("data %q, root secret %q", c.Data, c.RootSecretFile)
	}
	for _, command := range []string{"ronde serve", "ronde doctor"} {
		if !strings.Contains(unit, command+" --config /etc/ronde/ronde.yaml") {
			t.Errorf("%s reads another file", command)
		}
	}
}

// TestComposeRoles makes a database as compose does: first the login of the
// nodes, then, as the owner, the schema. The doctor finds the login as it should
// be.
func TestComposeRoles(t *testing.T) {
	server := pgtest.StartPrivate(t) // roles belong to the whole server, and this one has none yet
	dsn := server.CreateDB(t)
	folder := t.TempDir()
	password := filepath.Join(folder, "node.password")
	check(t, os.WriteFile(password, []byte("a 'quoted' password\n"), 0o600))
	script := filepath.Join(folder, "roles.sql")
	check(t, os.WriteFile(script, []byte(replace(t, shipped(t, "postgres-roles.sql"), "/run/secrets/node.password", password)), 0o600))
	out, err := exec.CommandContext(t.Context(), "psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", script, dsn).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check(t, postgres.Migrate(t.Context(), dsn))
	secret := filepath.Join(folder, "root.secret")
	_, err = session.CreateRootSecret(secret)
	check(t, err)
	node := asLogin(t, dsn, "ronde")
	d := diagnose(t, idleNode(filepath.Join(folder, "data"), "--store", node, "--root-secret-file", secret)...)
	d.green("bus public-url url files")
	d.want("role", verdictOK, "ronde is a member of ronde_app")
}

// TestShippedCommands: every command of Ronde that a shipped file runs, or tells its reader to run, is one.
func TestShippedCommands(t *testing.T) {
	var compose struct {
		Services map[string]struct{ Command []string }
	}
	check(t, yaml.Unmarshal([]byte(shipped(t, "compose.yaml")), &compose))
	commands := map[string][]string{}
	for _, service := range []string{"ronde1", "ronde2", "migrate"} {
		commands["service "+service] = compose.Services[service].Command
	}
	told := regexp.MustCompile(`[ /` + "`" + `]ronde ((?:serve|migrate|doctor|apikey|config|keys|audit|retention)\b[^` + "`" + `\n]*)`)
	for _, name := range []string{"compose.yaml", "ronde.service", "haproxy.cfg", "nginx.conf", "Caddyfile", "ronde.example.yaml"} {
		found := told.FindAllStringSubmatch(shipped(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s names no command", name)
		}
		for _, command := range found {
			commands[name+": "+command[0]] = strings.Fields(command[1])
		}
	}
	for where, args := range commands {
		parser, err := kong.New(new(cli))
		check(t, err)
		if _, err := parser.Parse(args); err != nil || len(args) == 0 {
			t.Errorf("%s: %q: %v", where, args, err)
		}
	}
}

// TestComposeWaitsForNodes: a node has the time to stop that it may take.
func TestComposeWaitsForNodes(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Grace time.Duration `yaml:"stop_grace_period"`
		}
	}
	check(t, yaml.Unmarshal([]byte(shipped(t, "compose.yaml")), &compose))
	for _, service := range []string{"ronde1", "ronde2"} {
		if grace := compose.Services[service].Grace; grace <= stopTimeout {
			t.Errorf("%s is killed after %v, and may take %v to stop", service, grace, stopTimeout)
		}
	}
	seconds := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+s)$`).FindStringSubmatch(shipped(t, "ronde.service"))
	if seconds == nil {
		t.Fatal("the unit says nothing of how long a node may take to stop")
	}
	grace, err := time.ParseDuration(seconds[1])
	check(t, err)
	if grace <= stopTimeout {
		t.Errorf("systemd kills a node after %v, and it may take %v to stop", grace, stopTimeout)
	}
}
