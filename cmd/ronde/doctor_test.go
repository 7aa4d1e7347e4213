package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ronde/configs"
	"ronde/session"
)

// diagnosis is what ronde doctor found, by check.
type diagnosis struct {
	t    *testing.T
	code int
	all  map[string]finding
}

// diagnose runs ronde doctor. Its exit code must follow from what it found.
func diagnose(t *testing.T, args ...string) *diagnosis {
	t.Helper()
	o := ronde(t, append([]string{"doctor", "--json"}, args...)...)
	return diagnosed(t, o)
}

func diagnosed(t *testing.T, o outcome) *diagnosis {
	t.Helper()
	var report struct {
		OK     bool
		Checks []finding
	}
	if err := json.Unmarshal([]byte(o.out), &report); err != nil {
		t.Fatalf("%v: exit code %d, %s%s", err, o.code, o.out, o.errors)
	}
	d := &diagnosis{t: t, code: o.code, all: map[string]finding{}}
	failed := false
	for _, f := range report.Checks {
		if _, twice := d.all[f.Check]; twice {
			t.Errorf("the check %s is reported twice", f.Check)
		}
		if f.Verdict != verdictOK && f.Advice == "" && !strings.Contains(f.Found, "run") && !strings.Contains(f.Found, "name") {
			t.Errorf("%s: %s, and nothing to do about it", f.Check, f.Found)
		}
		failed = failed || f.Verdict == verdictFail
		d.all[f.Check] = f
	}
	if report.OK == failed || (o.code == exitRun) != failed {
		t.Errorf("ok is %v and the exit code %d, but something failed: %v", report.OK, o.code, failed)
	}
	return d
}

// want checks what one check found: its verdict, and words that are said.
func (d *diagnosis) want(check, verdict string, says ...string) {
	d.t.Helper()
	f, ok := d.all[check]
	if !ok {
		d.t.Fatalf("nothing is said of %s in %v", check, d.all)
	}
	if f.Verdict != verdict {
		d.t.Errorf("%s is %s, want %s: %s; %s", check, f.Verdict, verdict, f.Found, f.Advice)
	}
	for _, words := range says {
		if !strings.Contains(f.Found+"; "+f.Advice, words) {
			d.t.Errorf("%s says %q; %q, and not %q", check, f.Found, f.Advice, words)
		}
	}
}

// green checks that nothing failed and that no check but those named warns.
func (d *diagnosis) green(but ...string) {
	d.t.Helper()
	tolerated := strings.Join(but, " ")
	for _, f := range d.all {
		if f.Verdict != verdictOK && !strings.Contains(tolerated, f.Check) {
			d.t.Errorf("%s is %s: %s; %s", f.Check, f.Verdict, f.Found, f.Advice)
		}
	}
}

// way is a node behind something that stands for a proxy.
type way struct {
	*testApp
	proxy *httptest.Server
	args  []string // with which the doctor examines it
}

// newWay starts a node whose public URL is that of a proxy, which is made from
// the node's own address.
func newWay(t *testing.T, proxy func(node string) http.Handler, change ...func(*configs.Config)) *way {
	t.Helper()
	w := &way{proxy: httptest.NewUnstartedServer(nil)}
	c := embedded(filepath.Join(t.TempDir(), "data"))
	c.PublicURL = "http://" + w.proxy.Listener.Addr().String()
	for _, f := range change {
		f(&c)
	}
	w.testApp = startConfigured(t, c)
	w.proxy.Config.Handler = proxy(w.public.Addr().String())
	w.proxy.Start()
	t.Cleanup(w.proxy.Close)
	w.args = []string{
		"--data", c.Data, "--public-url", c.PublicURL, "--listen", w.public.Addr().String(), "--ops-listen", w.ops.Addr().String(), "--idle", "10ms",
	}
	return w
}

// startConfigured starts a node on the real clock.
func startConfigured(t *testing.T, c configs.Config) *testApp {
	t.Helper()
	a := newApp(c, newLogger(streams{err: t.Output()}, "warn"), time.Now)
	check(t, a.start(t.Context()))
	t.Cleanup(func() { check(t, a.stop()) })
	ta := &testApp{app: a, t: t}
	ta.key = ta.newKey("acme", session.Platform)
	return ta
}

// TestDoctorFindsAHealthyNode: everything is looked at and nothing is wrong; of
// an installation that was never started, nothing is made.
func TestDoctorFindsAHealthyNode(t *testing.T) {
	a := startConfigured(t, embedded(filepath.Join(t.TempDir(), "data")))
	args := []string{
		"--data", a.config.Data, "--public-url", a.config.PublicURL,
		"--listen", a.public.Addr().String(), "--ops-listen", a.ops.Addr().String(), "--idle", "10ms",
	}
	d := diagnose(t, args...)
	d.green("public-url files")
	for _, check := range []string{
		"data", "root secret", "store", "keys", "clock", "bus", "listen", "ops-listen", "files", "public-url", "url", "server clock",
		"upgrade", "subprotocol", "origin", "authorization", "address", "events", "idle", "body", "headers",
	} {
		if _, ok := d.all[check]; !ok {
			t.Errorf("%s was not looked at", check)
		}
	}
	d.want("address", verdictOK, "no proxy")
	d.want("listen", verdictOK, "a Ronde serves")
	d.want("public-url", verdictWarn, "this machine alone")

	oneLineEach(t, d, args)
}

// oneLineEach checks that each check of a diagnosis prints one line.
func oneLineEach(t *testing.T, d *diagnosis, args []string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^(ok  |warn|FAIL)  (\S.{12})  \S.*$`)
	text := ronde(t, append([]string{"doctor"}, args...)...).out
	if n := len(line.FindAllString(text, -1)); n != len(d.all) || n != strings.Count(text, "\n") {
		t.Errorf("%d lines for %d checks:\n%s", n, len(d.all), text)
	}
}

func TestDoctorMakesNothing(t *testing.T) {
	folder := t.TempDir()
	d := diagnose(t, "--data", filepath.Join(folder, "data"), "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	d.green("public-url url files")
	for _, check := range []string{"root secret", "store", "keys"} {
		d.want(check, verdictOK, "will be made")
	}
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	check(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDoctorRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{
		{"--url", "ronde.example"}, {"--url", "https://ronde.example/"}, {"--idle", "-1s"}, {"--idle", "31m"}, {"--wait", "0"}, {"--wait", "6m"},
	} {
		o := ronde(t, append([]string{"doctor"}, args...)...)
		if o.code != exitUsage || !strings.Contains(o.errors, args[0]) {
			t.Errorf("%v: exit code %d, %s", args, o.code, o.errors)
		}
	}
}
