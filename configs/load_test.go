package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts a YAML file into a fresh folder and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ronde.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestExampleEqualsDefaults(t *testing.T) {
	text, err := os.ReadFile("ronde.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := c.mergeYAML(text); err != nil {
		t.Fatal(err)
	}
	if c != Default() {
		t.Errorf("the example says\n%v\nthe defaults are\n%v", c, Default())
	}
	for _, name := range Names() {
		if !strings.Contains(string(text), "\n"+name+": ") {
			t.Errorf("the example leaves out %s", name)
		}
	}
}

func TestLoadPrecedence(t *testing.T) {
	for _, name := range Names() {
		value := map[string]func(layer string) string{
			"listen":     func(l string) string { return "public." + l + ":1" },
			"ops-listen": func(l string) string { return "private." + l + ":2" },
			"public-url": func(l string) string { return "https://" + l + ".example" },
			"trusted-proxies": func(l string) string {
				return map[string]string{"file": "10.0.0.1", "env": "10.0.0.2", "flag": "10.0.0.3"}[l]
			},
			"store":     func(l string) string { return "sqlite:" + l },
			"bus":       func(l string) string { return "redis://" + l },
			"keys":      func(l string) string { return "file:" + l },
			"log-level": func(l string) string { return map[string]string{"file": "warn", "env": "error", "flag": "debug"}[l] },
		}[name]
		if value == nil {
			value = func(l string) string { return "folder/" + l }
		}
		t.Run(name, func(t *testing.T) {
			var s Sources
			check := func(want string) {
				t.Helper()
				c, err := Load(s)
				if err != nil {
					t.Fatal(err)
				}
				if got := *fieldNamed(t, name).at(&c); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			resolved := Default().Resolve()
			check(*fieldNamed(t, name).at(&resolved))
			s.File = write(t, name+": \""+value("file")+"\"\n")
			check(value("file"))
			s.Env = env(map[string]string{EnvName(name): value("env")})
			check(value("env"))
			s.Flags = map[string]string{name: value("flag")}
			check(value("flag"))
			s.Flags = nil
			s.Env = env(map[string]string{EnvName(name): ""})
			check(value("file"))
		})
	}
}

func fieldNamed(t *testing.T, name string) field {
	t.Helper()
	for _, f := range fields {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("no field %q", name)
	return field{}
}

func TestLoadRefusesFile(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // fragments of the error
	}{
		{"unknown key", "listen: 127.0.0.1:1\nlisen: 127.0.0.1:2\n", []string{"line 2", `unknown key "lisen"`, "ops-listen"}},
		{"case counts", "Listen: 127.0.0.1:1\n", []string{"line 1", `unknown key "Listen"`}},
		{"duplicate key", "data: a\nbus: 'mem:'\ndata: b\n", []string{"line 3", `"data"`, "line 1"}},
		{"two slips at once", "a: 1\nb: 2\n", []string{`"a"`, `"b"`}},
		{"number", "data: 12\n", []string{"line 1", "data", "text"}},
		{"no value", "store:\n", []string{"line 1", "store", "text"}},
		{"list", "listen: [a, b]\n", []string{"line 1", "listen", "text"}},
		{"alias", "data: &d a\nlog-level: *d\n", []string{"line 2", "log-level", "text"}},
		{"merge", "<<: {data: a}\n", []string{"line 1", "unknown key"}},
		{"a key that is no text", "[data]: a\n", []string{"line 1", "unknown key"}},
		{"no mapping", "- listen\n", []string{"line 1"}},
		{"two documents", "data: a\n---\ndata: b\n", []string{"second document"}},
		{"no YAML", "data: [\n", []string{"line"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Sources{File: write(t, tt.text)})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestLoadEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n"} {
		if _, err := Load(Sources{File: write(t, text)}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")})
	if err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefusesUnknownFlag(t *testing.T) {
	if _, err := Load(Sources{Flags: map[string]string{"lisen": "x"}}); err == nil {
		t.Error("accepted")
	}
}

// Whatever bytes a file holds, reading it ends in settings that are valid or in an error.
func FuzzMergeYAML(f *testing.F) {
	for _, text := range []string{"listen: a:1\n", "a: &b [*b]", "? - x\n: y", "data: |\n  a\n", "--- a\n--- b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		if c.mergeYAML(text) != nil || c.Validate() != nil {
			return
		}
		if err := c.Resolve().Validate(); err != nil {
			t.Errorf("valid before it was resolved, then: %v", err)
		}
	})
}
