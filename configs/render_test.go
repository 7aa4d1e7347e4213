package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	for value, want := range map[string]string{
		"sqlite:data/ronde.db":            "sqlite:data/ronde.db",
		"mem:":                            "mem:",
		"https://ronde.example":           "https://ronde.example",
		"postgres://h/d":                  "postgres://h/d",
		"postgres://u@h/d":                "postgres://u@h/d",
		"postgres://u:pw@h:1,i:2/d":       "postgres://u:hidden@h:1,i:2/d",
		"redis://:pw@h":                   "redis://:hidden@h",
		"postgres://h/d?password=pw&a=b":  "postgres://h/d?password=hidden&a=b",
		"postgres://h/d?SSLpassword=pw":   "postgres://h/d?SSLpassword=hidden",
		"postgres://h/d?p%61ssword=pw":    "postgres://h/d?p%61ssword=hidden",
		"postgres://u:pw/x@h/d":           "postgres://hidden",
		"redis-cluster://u:pw@h:1,i:2":    "redis-cluster://u:hidden@h:1,i:2",
		"postgres://u:pw@h/d?pool_size=4": "postgres://u:hidden@h/d?pool_size=4",
	} {
		if got := hide(value); got != want {
			t.Errorf("hide(%q) = %q, want %q", value, got, want)
		}
	}
}

// No way of writing a Config, and no error about one, shows a password.
func TestPasswordsNeverShow(t *testing.T) {
	const canary = "canary"
	stores := []string{
		"postgres://u:canary@h/d", "postgres://h/d?password=canary", "postgres://u:canary/@h/d", "postgres://u:1/canary@h/d",
		"postgres://u:canary@@h/d", "postgres://u:canary@h:port/d", "postgres://u:canary%zz@h/d", "postgres://u:canary@h /d",
		"mysql://u:canary@h/d", "host=h password=canary",
	}
	for _, store := range stores {
		c := Default()
		c.Store = store
		var out bytes.Buffer
		if err := c.Validate(); err != nil {
			fmt.Fprintln(&out, err)
			if strings.Contains(out.String(), canary) {
				t.Errorf("%s: the error shows it: %v", store, err)
			}
			continue
		}
		fmt.Fprintf(&out, "%v %+v %#v %s\n", c, c, &c, c)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "config", c)
		slog.New(slog.NewTextHandler(&out, nil)).Info("start", "config", c)
		if err := json.NewEncoder(&out).Encode(c); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s shows in\n%s", store, out.String())
		}
	}
}

func TestStringReadsBack(t *testing.T) {
	c := Default()
	c.Data = "a: b # 'c'"
	c = c.Resolve()
	var back Config
	if err := back.mergeYAML([]byte(c.String())); err != nil {
		t.Fatalf("%v in\n%s", err, c)
	}
	if back != c {
		t.Errorf("got\n%v\nwant\n%v", back, c)
	}
}
