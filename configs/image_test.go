package configs

import (
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instructions returns what follows a word at the beginning of the Containerfile's
// lines.
func instructions(t *testing.T, word string) (found []string) {
	t.Helper()
	for line := range strings.Lines(readText(t, "Containerfile")) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	if len(found) == 0 {
		t.Fatalf("Containerfile has no %s", word)
	}
	return found
}

// TestImage: the image is built from what there is, by the Go that the module
// asks for, and its settings are ones.
func TestImage(t *testing.T) {
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "../go.mod"))
	if image := "golang:" + module[1] + "-"; !slices.ContainsFunc(instructions(t, "FROM"), func(from string) bool { return strings.HasPrefix(from, image) }) {
		t.Errorf("nothing is built from %s…", image)
	}
	for _, source := range instructions(t, "COPY") {
		fields := strings.Fields(source)
		if strings.HasPrefix(source, "--from=") {
			continue
		}
		for _, name := range fields[:len(fields)-1] {
			if _, err := os.Stat(filepath.Join("..", name)); err != nil {
				t.Errorf("COPY %s: %v", source, err)
			}
		}
	}
	for _, env := range instructions(t, "ENV") {
		variable, _, _ := strings.Cut(env, "=")
		if !slices.ContainsFunc(Names(), func(setting string) bool { return EnvName(setting) == variable }) {
			t.Errorf("%s is no setting", variable)
		}
	}
}

// TestComposeFitsImage: whoever runs a node in compose is who owns the image's
// data, and what a node keeps lies in a volume.
func TestComposeFitsImage(t *testing.T) {
	home := instructions(t, "VOLUME")[0]
	if got := instructions(t, "ENV"); !slices.Contains(got, "RONDE_DATA="+home) {
		t.Errorf("the image keeps its data in %v, its volume is %s", got, home)
	}
	c := readCompose(t)
	for _, name := range []string{"ronde1", "ronde2"} {
		s := c.Services[name]
		if user := instructions(t, "USER")[0]; s.User != user {
			t.Errorf("%s runs as %s, and the image's data belongs to %s", name, s.User, user)
		}
		if !slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+home) }) {
			t.Errorf("%s keeps %s in no volume", name, home)
		}
		if _, folder := Split(s.Environment["RONDE_KEYS"]); path.Dir(folder) != home {
			t.Errorf("the keys of %s lie in %s, in no volume", name, folder)
		}
	}
}

// TestComposePorts: proxy, Prometheus, health check and image knock where the
// nodes listen, and nodes call databases where these listen by default.
func TestComposePorts(t *testing.T) {
	c := readCompose(t)
	port := func(address string) string {
		t.Helper()
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	proxy, prometheus := readText(t, "haproxy.cfg"), readText(t, "prometheus.yml")
	for _, name := range []string{"ronde1", "ronde2"} {
		s := c.Services[name]
		public, ops := port(s.Environment["RONDE_LISTEN"]), port(s.Environment["RONDE_OPS_LISTEN"])
		for what, found := range map[string]bool{
			"haproxy.cfg sends requests": strings.Contains(proxy, `"`+name+":"+public+`"`),
			"haproxy.cfg checks health":  regexp.MustCompile(`RONDE_OPS_PORT +"` + ops + `"`).MatchString(proxy),
			"prometheus.yml reads":       strings.Contains(prometheus, `"`+name+":"+ops+`"`),
			"compose checks health":      strings.Contains(strings.Join(s.Healthcheck.Test, " "), "/127.0.0.1/"+ops+";"),
			"the image exposes":          slices.Equal(instructions(t, "EXPOSE"), []string{public}),
		} {
			if !found {
				t.Errorf("%s another port than %s listens on (%s and %s)", what, name, public, ops)
			}
		}
	}
	stats := c.Services["haproxy"]
	if p := port(stats.Environment["RONDE_STATS"]); !strings.Contains(prometheus, `"haproxy:`+p+`"`) || !strings.Contains(strings.Join(stats.Healthcheck.Test, " "), "/127.0.0.1/"+p+";") {
		t.Errorf("nobody reads HAProxy's port %s", p)
	}
	ports := map[string]string{"postgres": "5432", "redis": "6379"}
	for _, name := range []string{"migrate", "ronde1", "ronde2"} {
		for _, variable := range []string{"RONDE_STORE", "RONDE_BUS"} {
			if value := c.Services[name].Environment[variable]; value != "" {
				u, err := url.Parse(value)
				if err != nil || u.Port() != ports[u.Hostname()] {
					t.Errorf("%s of %s names no server that listens there: %s", variable, name, value)
				}
			}
		}
	}
}
