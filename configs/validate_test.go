package configs

import (
	"fmt"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	tests := []struct {
		field string
		good  []string
		bad   []string
	}{
		{
			"listen",
			[]string{"127.0.0.1:8080", ":0", "[::1]:443", "[fe80::1%eth0]:1", "ronde.internal:65535", "0.0.0.0:80"},
			[]string{"", "8080", "127.0.0.1", "host:http", "host:65536", "host:-1", "a b:1", "http://a:1", "[::1:1", "a/b:1", ":"},
		},
		{
			"public-url",
			[]string{"", "https://ronde.example", "http://127.0.0.1:8080", "https://[::1]:8443", "http://a:443"},
			[]string{
				"ronde.example", "ftp://a", "https://", "https://a/", "https://a/path", "https://a?b", "https://a#b",
				"https://u:p@a", "https://A.example", "HTTPS://a", "https://a:443", "http://a:80", "https://a:",
				"https://münchen.example", "wss://a", "https://a b", "https://:443",
			},
		},
		{
			"trusted-proxies",
			[]string{"", "10.0.0.5", "10.0.0.0/8", "::1", "2001:db8::/32, 127.0.0.1,10.0.0.0/24"},
			[]string{
				",", "10.0.0.5,", "proxy.internal", "10.0.0.5:80", "10.0.0.0/33", "10.0.0.5/8", "0.0.0.0/0", "::/0",
				"fe80::1%eth0", "::ffff:10.0.0.5", "10.0.0.5 10.0.0.6",
			},
		},
		{"data", []string{"./data", "/srv/ronde"}, []string{""}},
		{
			"store",
			[]string{
				"sqlite:", "sqlite:a.db", "sqlite:/srv/a b.db", "postgres://u:p@h:5432/ronde", "postgresql://h/ronde",
				"postgres:///ronde?host=/run/postgresql", "postgres://a:1,b:2/ronde?target_session_attrs=read-write",
				"postgres://u:p%40%2F@h/d", "postgres://[::1]:5432/d",
			},
			[]string{
				"", "sqlite", "sqlite://a.db", "mysql://h/d", "postgres:", "postgres://h:port/d", "POSTGRES://h/d",
				"postgres://u:p@q@h/d", "postgres://u:p/q@h/d", "postgres://u:1/q@h/d", "postgres://u:1?q@h/d",
				"postgres://u:1#q@h/d", "postgres://u:%zz@h/d", "postgres://a,,b/d", "postgres://h/d?%zz=1", "host=h user=u",
			},
		},
		{
			"bus",
			[]string{
				"mem:", "redis://h:6379/0", "redis://h/", "rediss://u:p@h", "rediss://h?ca=/etc/ca.pem",
				"redis-cluster://h1:7000,h2:7001", "redis-cluster://u:p@h1,h2/0?tls=true",
			},
			[]string{
				"", "mem", "mem:x", "redis:", "redis://", "redis-cluster://h1,", "nats://h", "redis://h:x", "redis://h/1",
				"redis://h1,h2", "rediss://h1,h2", "redis-cluster://h/2", "redis://h/0/0",
			},
		},
		{"keys", []string{"file:", "file:/srv/keys", "postgres://h/keys"}, []string{"", "file://srv/keys", "sqlite:", "vault:"}},
		{"root-secret-file", []string{"", "/etc/ronde/secret"}, nil},
		{"checkpoints", []string{"", "/mnt/witness"}, nil},
		{"log-level", []string{"debug", "info", "warn", "error"}, []string{"", "INFO", "warning", "trace"}},
	}
	for _, tt := range tests {
		t.Run(tt.field, func(t *testing.T) {
			for _, value := range tt.good {
				c := Default()
				c.set(tt.field, value)
				if err := c.Validate(); err != nil {
					t.Errorf("%q: %v", value, err)
				}
			}
			for _, value := range tt.bad {
				c := Default()
				c.set(tt.field, value)
				err := c.Validate()
				if err == nil {
					t.Errorf("%q was accepted", value)
				} else if !strings.HasPrefix(err.Error(), tt.field+": must") {
					t.Errorf("%q: %q does not name field and rule", value, err)
				}
			}
		})
	}
}

func TestRulesBetweenSettings(t *testing.T) {
	c := Default()
	c.OpsListen = c.Listen
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "ops-listen: ") {
		t.Errorf("one address for both listeners: %v", err)
	}
	c.Listen, c.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	if err := c.Validate(); err != nil {
		t.Errorf("two ports of the system's choice: %v", err)
	}
	c = Default()
	c.Store, c.Keys = "postgres://a@h:1/ronde", "postgresql://b@h:1/ronde?sslmode=disable"
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
		t.Errorf("keys in the store's database: %v", err)
	}
	c.Keys = "postgres://b@h:1/keys"
	if err := c.Validate(); err != nil {
		t.Errorf("keys in another database: %v", err)
	}
}

func TestValidateNamesEverything(t *testing.T) {
	err := Config{}.Validate()
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, name := range []string{"listen", "ops-listen", "data", "store", "bus", "keys", "log-level"} {
		if !strings.Contains("\n"+err.Error(), "\n"+name+": ") {
			t.Errorf("%s is not named in\n%v", name, err)
		}
	}
}

func TestResolve(t *testing.T) {
	c := Default().Resolve()
	want := Config{
		Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:9090", PublicURL: "http://127.0.0.1:8080", Data: "./data",
		Store: "sqlite:data/ronde.db", Bus: "mem:", Keys: "file:data/keys", RootSecretFile: "data/root.secret", Checkpoints: "data/checkpoints", LogLevel: "info",
	}
	if c != want {
		t.Errorf("got\n%v\nwant\n%v", c, want)
	}
	if again := c.Resolve(); again != c {
		t.Errorf("resolved twice:\n%v", again)
	}
	if c := (Config{Listen: ":0"}).Resolve(); c.PublicURL != "" {
		t.Errorf("an origin of a port not known yet: %s", c.PublicURL)
	}
	if !c.Embedded() || (Config{Store: "postgres://h/d"}).Embedded() {
		t.Error("embedded is what the sqlite store is, and nothing else")
	}
}

func TestOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		":8080":          "http://localhost:8080",
		"0.0.0.0:8080":   "http://localhost:8080",
		"[::]:8080":      "http://localhost:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"[::1]:80":       "http://[::1]",
		"Ronde.Lan:80":   "http://ronde.lan",
		"nonsense":       "",
	} {
		if got := Origin(address); got != want {
			t.Errorf("Origin(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestProxies(t *testing.T) {
	c := Config{TrustedProxies: "127.0.0.1, 10.1.0.0/16,2001:db8::1"}
	if got := fmt.Sprint(c.Proxies()); got != "[127.0.0.1/32 10.1.0.0/16 2001:db8::1/128]" {
		t.Errorf("got %s", got)
	}
	for _, nobody := range []string{"", "0.0.0.0/0", "nonsense"} {
		if got := (Config{TrustedProxies: nobody}).Proxies(); got != nil {
			t.Errorf("%q trusts %v", nobody, got)
		}
	}
}
