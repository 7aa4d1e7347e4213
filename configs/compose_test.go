package configs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// composeFile is what this test knows of a compose file: see the Compose
// Specification.
type composeFile struct {
	Services map[string]composeService
	Networks map[string]any
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type composeService struct {
	Image       string
	User        string
	Command     []string
	Environment map[string]string
	Secrets     []string
	Volumes     []string
	Ports       []string
	Networks    yaml.Node
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	ReadOnly    bool                                  `yaml:"read_only"`
	CapDrop     []string                              `yaml:"cap_drop"`
	SecurityOpt []string                              `yaml:"security_opt"`
	Healthcheck struct{ Test []string }
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	var c composeFile
	if err := yaml.Unmarshal([]byte(readText(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) < 8 {
		t.Fatalf("%d services were found", len(c.Services))
	}
	return c
}

// networks returns the names in either of the two forms that a service may list
// its networks in.
func (s composeService) networks(t *testing.T) (names []string) {
	t.Helper()
	if s.Networks.Kind == yaml.MappingNode {
		var byName map[string]any
		if err := s.Networks.Load(&byName); err != nil {
			t.Fatal(err)
		}
		for name := range byName {
			names = append(names, name)
		}
		return names
	}
	if err := s.Networks.Load(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestComposeIsWhole: what a service asks for is there.
func TestComposeIsWhole(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s asks for the secret %s, which there is not", name, secret)
			}
		}
		for _, network := range s.networks(t) {
			if _, ok := c.Networks[network]; !ok {
				t.Errorf("%s is on the network %s, which there is not", name, network)
			}
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s waits for %s, which there is not", name, other)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, named := c.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("%s mounts %s: %v", name, source, err)
			}
		}
		for variable, value := range s.Environment {
			path, isSecret := strings.CutPrefix(value, "/run/secrets/")
			if _, passfile, ok := strings.Cut(value, "passfile=/run/secrets/"); ok {
				path, isSecret = passfile, true
			}
			if isSecret && !slices.Contains(s.Secrets, path) {
				t.Errorf("%s of %s names the secret %s, which it is not given", variable, name, path)
			}
		}
	}
}

// TestComposeIsLocked: no container is root, writes to its image, gains
// privileges or publishes what is private; each says whether it is well, and no
// password stands in the file.
func TestComposeIsLocked(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not locked", name)
		}
		if len(s.Healthcheck.Test) == 0 && name != "migrate" {
			t.Errorf("%s does not say whether it is well", name)
		}
		if _, tag, tagged := strings.Cut(s.Image, ":"); s.Image != "ronde" && (!tagged || tag == "latest") {
			t.Errorf("%s runs whatever %s is today", name, s.Image)
		}
		for _, port := range s.Ports {
			if name != "haproxy" && !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s to everybody", name, port)
			}
		}
		for variable, value := range s.Environment {
			if strings.Contains(variable, "PASSWORD") && !strings.HasSuffix(variable, "_FILE") || regexp.MustCompile(`://[^@/]*:[^@/]*@`).MatchString(value) {
				t.Errorf("%s of %s holds a password", variable, name)
			}
		}
	}
}

// TestComposeSettings: the nodes' environment is a configuration that loads, and
// a proxy that is trusted is the one that is there.
func TestComposeSettings(t *testing.T) {
	c := readCompose(t)
	for _, name := range []string{"ronde1", "ronde2", "migrate"} {
		environment := c.Services[name].Environment
		for variable := range environment {
			if !slices.ContainsFunc(Names(), func(setting string) bool { return EnvName(setting) == variable }) {
				t.Errorf("%s of %s is no setting", variable, name)
			}
		}
		settings, err := Load(Sources{Env: env(withURL(environment))})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if settings.Embedded() {
			t.Errorf("%s runs on the embedded store", name)
		}
		if name != "migrate" && !strings.Contains(readText(t, "compose.yaml"), "ipv4_address: "+settings.TrustedProxies+" ") {
			t.Errorf("%s trusts %s, which is nobody's address", name, settings.TrustedProxies)
		}
	}
	proxy := readText(t, "haproxy.cfg")
	for variable := range c.Services["haproxy"].Environment {
		if !strings.Contains(proxy, "presetenv "+variable+" ") {
			t.Errorf("haproxy.cfg knows no %s", variable)
		}
	}
	for _, name := range []string{"ronde1", "ronde2"} {
		if _, ok := c.Services[name]; !ok || !strings.Contains(proxy, `"`+name+`:8080"`) {
			t.Errorf("haproxy.cfg sends nothing to %s", name)
		}
	}
	for _, target := range regexp.MustCompile(`"([a-z0-9]+):\d+"`).FindAllStringSubmatch(readText(t, "prometheus.yml"), -1) {
		if _, ok := c.Services[target[1]]; !ok {
			t.Errorf("prometheus.yml reads %s, which there is not", target[1])
		}
	}
}

// withURL puts an origin where compose asks for one.
func withURL(environment map[string]string) map[string]string {
	for name, value := range environment {
		if strings.HasPrefix(value, "${RONDE_PUBLIC_URL:?") {
			environment[name] = "https://ronde.example"
		}
	}
	return environment
}

// TestComposeSecrets runs the commands at the head of the file: they make every
// secret that it names, each closed to others.
func TestComposeSecrets(t *testing.T) {
	c := readCompose(t)
	var script strings.Builder
	for line := range strings.Lines(readText(t, "compose.yaml")) {
		if command, ok := strings.CutPrefix(line, "#     "); ok {
			script.WriteString(command)
		}
	}
	folder := t.TempDir()
	for _, name := range []string{"fullchain.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `sudo() { [[ $1 == chown && -e $3 ]]; }`+"\n"+script.String())
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, secret := range c.Secrets {
		info, err := os.Stat(filepath.Join(folder, secret.File))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm()&0o077 != 0 || info.Size() < 15 {
			t.Errorf("%s has mode %v and %d bytes", name, info.Mode(), info.Size())
		}
		if !strings.Contains(script.String(), " "+name) {
			t.Errorf("%s is given to nobody", name)
		}
	}
}

// TestUnit: systemd understands the unit, and finds it closed.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v; install the Debian package systemd (make test does so where it may)", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const program = "ExecStart=/usr/local/bin/ronde "
	text := readText(t, "ronde.service")
	if strings.Count(text, program) != 1 {
		t.Fatalf("no %q", program)
	}
	unit := filepath.Join(t.TempDir(), "ronde.service")
	text = strings.Replace(text, program, "ExecStart="+self+" ", 1) // it is not installed here
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", unit}, {"security", "--offline=true", "--no-pager", "--threshold=15", unit}} {
		out, err := exec.Command(analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %v: %v\n%s", args[:1], err, out)
		}
	}
}
