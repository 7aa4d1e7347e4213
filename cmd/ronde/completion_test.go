package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ronde/configs"
)

// completed returns the candidates for the last word, without what they are.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	o := ronde(t, append([]string{completeWord}, words...)...)
	if o.code != exitOK || o.errors != "" {
		t.Fatalf("%q: exit code %d, %s", words, o.code, o.errors)
	}
	var names []string
	for line := range strings.Lines(o.out) {
		name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		names = append(names, name)
	}
	return names
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"ser"}, "serve"},
		{[]string{"apikey", ""}, "create list revoke"},
		{[]string{"--data", "x", "apikey", "l"}, "list"},
		{[]string{"--data=x", "apikey", "l"}, "list"},
		{[]string{"apikey", "create", "--te"}, "--tenant"},
		{[]string{"apikey", "create", "--role", ""}, "platform operator auditor"},
		{[]string{"apikey", "create", "--role", "a"}, "auditor"},
		{[]string{"apikey", "create", "--role=o"}, "--role=operator"},
		{[]string{"apikey", "create", "--role", "=", "o"}, "operator"}, // as bash cuts it
		{[]string{"apikey", "create", "--role", "="}, "platform operator auditor"},
		{[]string{"serve", "--log-level", ""}, "debug info warn error"},
		{[]string{"serve", "--config", ""}, ":files"},
		{[]string{"serve", "--data="}, ":folders"},
		{[]string{"completion", ""}, "bash zsh fish"},
		{[]string{"completion", "bash", ""}, ""},
		{[]string{"apikey", "create", "--json", "--la"}, "--label"}, // a switch takes no value
		{[]string{"version", "--", "--js"}, ""},
		{[]string{"nonsense", "--no-such", "--no-such=x", ""}, strings.Join(completed(t), " ")},
		{[]string{"--no-such=x"}, ""},
		{nil, "serve migrate doctor config apikey keys demo simulate completion version"},
	} {
		got := completed(t, c.words...)
		if c.words == nil || c.words[0] == "nonsense" { // other commands may come
			got = slices.DeleteFunc(got, func(name string) bool { return !strings.Contains(" "+c.want+" ", " "+name+" ") })
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q gives %q, want %q", c.words, got, c.want)
		}
	}
}

// Every candidate means something, and what must be repeated here is what
// package configs allows.
func TestCompleteExplains(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(ronde(t, completeWord, "serve", "--").out), "\n") {
		if name, help, _ := strings.Cut(line, "\t"); name == "" || help == "" {
			t.Errorf("a candidate without a word about it: %q", line)
		}
	}
	for _, level := range completed(t, "--log-level", "") {
		c := configs.Default()
		c.LogLevel = level
		if err := c.Validate(); err != nil {
			t.Errorf("%s is offered, and refused: %v", level, err)
		}
	}
}

// inShell runs commands in a real shell that finds this program as ronde.
func inShell(t *testing.T, shell string, args ...string) []string {
	t.Helper()
	folder := t.TempDir()
	self, err := os.Executable()
	check(t, err)
	check(t, os.Symlink(self, filepath.Join(folder, "ronde")))
	check(t, os.WriteFile(filepath.Join(folder, "settings.yaml"), nil, 0o600))
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("%v; install the Debian package %s (make test does so where it may)", err, shell)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), asProgram+"=1", "PATH="+folder+":"+os.Getenv("PATH"), "HOME="+folder)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

func wantWords(t *testing.T, got []string, want string) {
	t.Helper()
	if strings.Join(got, " ") != want {
		t.Errorf("completed to %q, want %q", got, want)
	}
}

// TestCompletionInBash lets a real bash complete, by the function that its Tab
// key calls.
func TestCompletionInBash(t *testing.T) {
	for line, want := range map[string]string{
		"apikey ''":              "create list revoke",
		"apikey create --role a": "auditor",
		"serve --ops":            "--ops-listen",
		"serve --log-level = w":  "warn",
	} {
		script := fmt.Sprintf(`source <(ronde completion bash); COMP_WORDS=(ronde %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_ronde; printf '%%s\n' "${COMPREPLY[@]}"; [[ $(complete -p ronde) == *"-F _ronde ronde" ]]`, line)
		wantWords(t, inShell(t, "bash", "--norc", "-euo", "pipefail", "-c", script), want)
	}
}

// TestCompletionInZsh lets a real zsh complete; in place of the menu it shows
// what it would fill it with.
func TestCompletionInZsh(t *testing.T) {
	for line, want := range map[string]string{
		"apikey ''":              "create list revoke",
		"apikey create --role a": "auditor",
		"serve --config ''":      "the-files",
	} {
		script := fmt.Sprintf(`compdef() { [[ "$*" == "_ronde ronde" ]] || exit 9 }
			_describe() { print -l -- "${(@)${(@P)2}%%%%:*}" }; _files() { print the-files }
			source <(ronde completion zsh); words=(ronde %s); CURRENT=$#words; _ronde; true`, line)
		wantWords(t, inShell(t, "zsh", "-f", "-c", script), want)
	}
}

// TestCompletionInFish lets a real fish complete.
func TestCompletionInFish(t *testing.T) {
	for line, want := range map[string]string{
		"ronde completion ":             "bash fish zsh", // fish sorts
		"ronde apikey create --role a":  "auditor",
		"ronde serve --config setting":  "settings.yaml",
		"ronde apikey create --role=pl": "--role=platform",
	} {
		got := inShell(t, "fish", "--no-config", "-c", fmt.Sprintf(`ronde completion fish | source; complete --do-complete %q | string split --fields 1 \t; true`, line)) // split fails where it finds no tab
		slices.Sort(got)
		wantWords(t, got, want)
	}
}

// TestCompletionKnowsTheShells: there is a script for each shell that is
// offered, and for no other.
func TestCompletionKnowsTheShells(t *testing.T) {
	parser, err := kong.New(&cli{})
	check(t, err)
	scripts, err := completions.ReadDir("completion")
	check(t, err)
	shells := childNamed(parser.Model.Node, "completion").Positional[0].EnumSlice()
	if len(scripts) != len(shells) {
		t.Errorf("%d scripts for the shells %v", len(scripts), shells)
	}
	for _, shell := range shells {
		if o := ronde(t, "completion", shell); o.code != exitOK || !strings.Contains(o.out, completeWord) {
			t.Errorf("%s: exit code %d, %s", shell, o.code, o.errors)
		}
	}
	if o := ronde(t, "completion", "tcsh"); o.code != exitUsage {
		t.Errorf("tcsh: exit code %d", o.code)
	}
}
