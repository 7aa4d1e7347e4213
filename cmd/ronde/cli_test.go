package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ronde/configs"
)

// outcome is what a run of the program left behind.
type outcome struct {
	code        int
	out, errors string
}

// ronde runs the program in this process. The environment is t's.
func ronde(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// effective returns the settings that ronde config prints for args.
func effective(t *testing.T, args ...string) map[string]string {
	t.Helper()
	o := ronde(t, append([]string{"config", "--json"}, args...)...)
	if o.code != exitOK {
		t.Fatalf("exit code %d: %s", o.code, o.errors)
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(o.out), &settings); err != nil {
		t.Fatal(err)
	}
	return settings
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ronde.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodes(t *testing.T) {
	unknown := writeFile(t, "data: a\nlisen: 127.0.0.1:1\n")
	tests := []struct {
		name string
		args []string
		code int
		says string // on standard output if the code is 0, otherwise on standard error
	}{
		{"help", []string{"--help"}, exitOK, "Run it:"},
		{"help of a command", []string{"config", "--help"}, exitOK, "passwords hidden"},
		{"nothing", nil, exitUsage, "expected one of"},
		{"unknown command", []string{"patrol"}, exitUsage, "patrol"},
		{"unknown flag", []string{"config", "--lisen", "x"}, exitUsage, "--listen"},
		{"surplus argument", []string{"version", "now"}, exitUsage, "now"},
		{"invalid setting", []string{"config", "--listen", "x"}, exitUsage, "listen: must be host:port"},
		{"unknown key", []string{"config", "--config", unknown}, exitUsage, `line 2: unknown key "lisen"`},
		{"missing file", []string{"config", "--config", unknown + ".not"}, exitUsage, "no such file"},
		{"version needs no valid settings", []string{"version", "--listen", "x"}, exitOK, "ronde " + version},
		{"flags before the command", []string{"--data", "elsewhere", "config"}, exitOK, "data: elsewhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := ronde(t, tt.args...)
			if o.code != tt.code {
				t.Fatalf("exit code %d, want %d; %s", o.code, tt.code, o.errors)
			}
			said, silent := o.out, o.errors
			if tt.code != exitOK {
				said, silent = silent, said
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("%q does not say %q", said, tt.says)
			}
			if silent != "" {
				t.Errorf("the other stream got %q", silent)
			}
		})
	}
}

// brokenPipe fails every write, as a closed pipe does.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestRunErrorExitsWith1(t *testing.T) {
	var errs bytes.Buffer
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"config"}, {"config", "--json"}} {
		if code := run(context.Background(), args, strings.NewReader(""), brokenPipe{}, &errs); code != exitRun {
			t.Errorf("%q: exit code %d, want %d", args, code, exitRun)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "data: from-file\nlisten: file.internal:1\nlog-level: warn\n")
	t.Setenv("RONDE_LISTEN", "env.internal:2")
	t.Setenv("RONDE_LOG_LEVEL", "error")
	got := effective(t, "--config", file, "--log-level", "debug")
	for name, want := range map[string]string{
		"ops-listen": "127.0.0.1:9090",            // default
		"data":       "from-file",                 // file over default
		"listen":     "env.internal:2",            // environment over file
		"log-level":  "debug",                     // flag over environment
		"store":      "sqlite:from-file/ronde.db", // follows from data
		"public-url": "http://env.internal:2",     // follows from listen
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestConfigFileFromEnvironment(t *testing.T) {
	t.Setenv("RONDE_CONFIG", writeFile(t, "data: from-file\n"))
	if got := effective(t)["data"]; got != "from-file" {
		t.Errorf("data is %q", got)
	}
}

// Every setting has a flag of its name, and its value arrives.
func TestEverySettingIsAFlag(t *testing.T) {
	values := map[string]string{
		"listen": "a:1", "ops-listen": "a:2", "public-url": "https://a", "trusted-proxies": "10.0.0.1", "data": "d", "store": "sqlite:s", "bus": "redis://b",
		"keys": "file:k", "root-secret-file": "r", "checkpoints": "c", "log-level": "warn",
	}
	for _, name := range configs.Names() {
		if got := effective(t, "--"+name, values[name])[name]; got != values[name] {
			t.Errorf("--%s %s arrived as %q", name, values[name], got)
		}
	}
}

// The help repeats the defaults, for the reader's sake; here it is held to them.
func TestHelpTellsTheDefaults(t *testing.T) {
	settings := configs.Default()
	text := strings.Join(strings.Fields(ronde(t, "--help").out), " ")
	for _, value := range []string{settings.Listen, settings.OpsListen, settings.Data, settings.Store, settings.Bus, settings.Keys, settings.LogLevel} {
		if !strings.Contains(text, "Default: "+value) {
			t.Errorf("no flag's help ends in Default: %s", value)
		}
	}
}

func TestEveryCommandAndFlagExplainsItself(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("ronde"))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		if n.Help == "" && n.Parent != nil {
			t.Errorf("%s has no help", n.FullPath())
		}
		if n.Parent != nil {
			checkLongHelp(t, n)
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("--%s of %s has no help", f.Name, n.FullPath())
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
}

// checkLongHelp looks at the longer help of a command: it says more than the
// short one and shows examples of this very command, all of which parse.
func checkLongHelp(t *testing.T, n *kong.Node) {
	t.Helper()
	if n.Group == nil && n.Parent.Parent == nil {
		t.Errorf("%s stands in no group of the help", n.FullPath())
	}
	before, examples, found := strings.Cut(n.Detail, "Example")
	if !found || len(before) <= len(n.Help) {
		t.Errorf("the longer help of %s says %q, and shows no example", n.FullPath(), n.Detail)
		return
	}
	own := 0
	for line := range strings.Lines(examples) {
		line, ok := strings.CutPrefix(line, "    ")
		if !ok {
			continue
		}
		_, line, _ = strings.Cut(line, n.FullPath())
		own++
		line, _, _ = strings.Cut(line, " >")
		words := append(strings.Fields(n.FullPath())[1:], strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), ")"))...)
		parser, err := kong.New(&cli{}, kong.Name("ronde"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words); err != nil {
			t.Errorf("an example of %s does not parse: %q: %v", n.FullPath(), words, err)
		}
	}
	if own == 0 {
		t.Errorf("no example of %s", n.FullPath())
	}
}

func TestConfigHidesPasswords(t *testing.T) {
	const canary = "canary"
	t.Setenv("RONDE_KEYS", "postgres://u:canary@h/keys?sslpassword=canary")
	for _, args := range [][]string{{"config"}, {"config", "--json"}, {"config", "--store", "postgres://u:canary@h:port/d"}} {
		o := ronde(t, append(args, "--bus", "redis://:canary@h")...)
		if strings.Contains(o.out+o.errors, canary) {
			t.Errorf("%q shows a password:\n%s%s", args, o.out, o.errors)
		}
	}
	if got := effective(t)["keys"]; got != "postgres://u:hidden@h/keys?sslpassword=hidden" {
		t.Errorf("keys are shown as %q", got)
	}
}

func TestConfigReadsItsOwnOutput(t *testing.T) {
	printed := ronde(t, "config", "--data", "elsewhere")
	again := ronde(t, "config", "--config", writeFile(t, printed.out))
	if again.out != printed.out {
		t.Errorf("printed\n%s\nread back as\n%s%s", printed.out, again.out, again.errors)
	}
}

func TestVersion(t *testing.T) {
	var b buildInfo
	o := ronde(t, "version", "--json")
	if err := json.Unmarshal([]byte(o.out), &b); err != nil {
		t.Fatal(err)
	}
	if b != currentBuild() || b.Version == "" || b.Go == "" {
		t.Errorf("got %+v", b)
	}
	words := strings.Fields(buildInfo{Version: "v1", Go: "go1", Platform: "a/b", Revision: "c0ffee", Modified: true}.String())
	if want := []string{"ronde", "v1", "go1", "a/b", "c0ffee", "modified"}; !slices.Equal(words, want) {
		t.Errorf("got %q, want %q", words, want)
	}
}
