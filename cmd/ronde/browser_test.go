package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/session"
)

// browser is a headless Chromium that a small script drives.
type browser struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Scanner
	wait func() error // until the driver has ended
}

// openBrowser starts a browser, with flags of its own. It fails, and does not skip, where one is missing: make test brings it.
func openBrowser(t *testing.T, origin string, flags ...string) *browser {
	t.Helper()
	ui := filepath.Join("..", "..", "web", "ui")
	if _, err := os.Stat(filepath.Join(ui, "node_modules", "playwright-core")); err != nil {
		t.Fatal("the browser's driver is not installed: make pages")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no chromium (Debian: chromium): make deps")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join("e2e", "driver.mjs"), chromium, origin}, flags...)...)
	cmd.Dir, cmd.Stderr = ui, t.Output()
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	b := &browser{t, in, lines, sync.OnceValue(cmd.Wait)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = b.wait()
	})
	return b
}

// close ends the browser as its user does.
func (b *browser) close() {
	b.t.Helper()
	check(b.t, b.in.Close()) // tells the driver to end
	check(b.t, b.wait())
}

// do has the driver carry out a command and returns its value.
func (b *browser) do(command string, with object) any {
	b.t.Helper()
	line := object{"command": command}
	for k, v := range with {
		line[k] = v
	}
	raw, err := json.Marshal(line)
	check(b.t, err)
	_, err = b.in.Write(append(raw, '\n'))
	check(b.t, err)
	if !b.out.Scan() {
		b.t.Fatalf("the browser's driver ended: %v", b.out.Err())
	}
	var answer struct {
		Value any
		Error string
	}
	check(b.t, json.Unmarshal(b.out.Bytes(), &answer))
	if answer.Error != "" {
		b.t.Fatalf("%s %v: %s\nthe page says: %s", command, with, answer.Error, b.text("#page"))
	}
	return answer.Value
}

func (b *browser) open(url string) { b.t.Helper(); b.do("open", object{"url": url}) }

// until waits until the first element that a selector names shows a text.
func (b *browser) until(selector, text string) {
	b.t.Helper()
	b.do("until", object{"expression": fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, text)})
}

func (b *browser) text(selector string) string {
	raw, err := json.Marshal(object{"command": "read", "expression": fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector)})
	check(b.t, err)
	if _, err := b.in.Write(append(raw, '\n')); err != nil || !b.out.Scan() {
		return "nothing any more"
	}
	return b.out.Text()
}

// gone waits until no marker of an agent is on the map and no age of a position is on the page.
func (b *browser) gone() {
	b.t.Helper()
	b.do("until", object{"expression": `document.querySelectorAll('[data-alias]').length === 0 && !/Position .* ago|Position just now/.test(document.body.innerText)`})
}

// picture keeps a screenshot where RONDE_PICTURES names a folder.
func (b *browser) picture(name string) {
	b.t.Helper()
	if folder := os.Getenv("RONDE_PICTURES"); folder != "" {
		b.do("picture", object{"path": filepath.Join(folder, name+".png")})
	}
}

// clean fails the test if the page broke its policy or talked to anybody else.
func (b *browser) clean() {
	b.t.Helper()
	seen := b.do("seen", nil).(object)
	for what, list := range seen {
		for _, item := range list.([]any) {
			b.t.Errorf("%s: %v", what, item)
		}
	}
}

// TestLivePage lets a browser watch a mission from before its begin to its end, through a pause, a lost network and a
// break of the agent, and then a link that is revoked.
func TestLivePage(t *testing.T) {
	a := startAppOn(t, "")
	b := openBrowser(t, a.config.PublicURL)
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	phone := phoneOf(a, a.agentToken(mission))
	seq := 0
	ping := func(latitude float64) {
		seq++
		phone.send(object{"type": "pings", "pings": []object{{"seq": seq, "timestamp": a.now().UnixMilli(), "latitude": latitude, "longitude": 2.34, "accuracy": 8}}})
		phone.until("ack")
	}
	later := func(d time.Duration) { a.setClock(a.now().Add(d)) }
	arrive := func() { // an arrival takes two fixes and ten seconds
		t.Helper()
		later(3 * time.Minute)
		ping(48.8503)
		later(15 * time.Second)
		ping(48.8501)
		b.until("#headline", "On site")
	}
	onDuty := func() { // past the states that came before: a position from before the window would be none
		t.Helper()
		for phone.until("state")["duty"] != "on" {
		}
	}

	b.open(a.config.PublicURL + "/live#" + a.link(mission, "exact"))
	b.until("#headline", "Not begun")
	if url := b.do("read", object{"expression": "location.href"}).(string); strings.Contains(url, "#") {
		t.Errorf("the token is still in the address: %d characters behind #", len(url)-strings.Index(url, "#"))
	}
	b.until("#privacy a[href='/policy?lang=en']", "What is kept of people")
	b.picture("scheduled")
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	ping(48.86)
	b.until("#headline", "On the way")
	b.do("until", object{"expression": "document.querySelector('[data-alias]') !== null"}) // the map has its marker
	b.picture("on-the-way")
	before := b.do("read", object{"expression": "document.querySelector('[data-alias]').style.transform || document.querySelector('[data-alias]').parentElement.style.transform"})
	arrive()
	b.do("until", object{"expression": fmt.Sprintf("(document.querySelector('[data-alias]').style.transform || document.querySelector('[data-alias]').parentElement.style.transform) !== %q", before)})
	b.picture("on-site")

	a.call(200, "POST", "/v1/missions/"+mission+"/pause", nil)
	b.until("#headline", "Mission paused")
	b.gone()
	b.picture("paused")
	a.call(200, "POST", "/v1/missions/"+mission+"/resume", nil)
	onDuty()
	arrive()

	phone.send(object{"type": "pause"})
	b.until("#page", "On a break")
	b.gone()
	b.picture("break")
	phone.send(object{"type": "resume"})
	onDuty()
	arrive()

	a.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	b.until("#headline", "Mission over")
	b.gone()
	b.picture("over")
	left := b.do("read", object{"expression": "JSON.stringify([localStorage.length, sessionStorage.length, history.state])"}).(string)
	if strings.Contains(left, "eyJ") || !strings.HasPrefix(left, "[0,0,") {
		t.Errorf("left in the tab: %d characters", len(left))
	}
	b.clean()
}

// TestLivePageLosesLink revokes a link while its page is open, and takes the network away from another.
func TestLivePageLosesLink(t *testing.T) {
	a := startAppOn(t, "")
	b := openBrowser(t, a.config.PublicURL)
	mission := a.running()
	if answer := phoneOf(a, a.agentToken(mission)).ping(1, time.Now()); answer["type"] != "ack" {
		t.Fatalf("answer %v", answer)
	}
	link := a.call(201, "POST", "/v1/missions/"+mission+"/links", object{"profile": "cell:9"})
	b.open(link["url"].(string))
	b.until("#headline", "Arriving") // one fix is no arrival
	b.picture("cell")
	if page := b.do("read", object{"expression": "document.body.innerText"}).(string); strings.Contains(page, "48.85") {
		t.Error("a coordinate is on the page")
	}

	b.do("offline", object{"on": true})
	_, err := a.service.Do(t.Context(), &session.Principal{Role: session.Platform, Tenant: "acme"}, mustID(t, mission), session.Command{Action: session.Pause})
	check(t, err)
	b.do("offline", object{"on": false})
	b.until("#headline", "Mission paused") // the socket lives on, or a new one tells
	b.gone()

	a.call(200, "DELETE", "/v1/links/"+link["id"].(string), nil)
	b.until("#headline", "withdrawn")
	b.picture("revoked")
	b.clean()
}

// TestLivePageWithoutMap watches on a device that cannot draw a map, and on one that for a while cannot any more: both
// pages say so, and tell in words where the agent is.
func TestLivePageWithoutMap(t *testing.T) {
	const words = "The map cannot be drawn on this device"
	a := startAppOn(t, "")
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	phone := a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
	phone.until("hello")
	seq := 0
	ping := func() {
		seq++
		phone.send(object{"type": "pings", "pings": []object{{"seq": seq, "timestamp": time.Now().UnixMilli(), "latitude": 48.86, "longitude": 2.34}}})
		phone.until("ack")
	}
	ping()
	link := a.config.PublicURL + "/live#" + a.link(mission, "exact")

	never, lost := openBrowser(t, a.config.PublicURL, "--disable-3d-apis"), openBrowser(t, a.config.PublicURL)
	never.open(link)
	never.until("#chart", words)
	ping()
	never.do("until", object{"expression": `/On the way, 1\s*km away/.test(document.querySelector('#headline').innerText) && /Position (just now|.* ago)/.test(document.querySelector('#page').innerText)`})
	never.picture("no-map")
	lost.open(link)
	lost.do("until", object{"expression": "document.querySelector('[data-alias]') !== null"})
	lost.do("read", object{"expression": "(self.graphics = document.querySelector('canvas').getContext('webgl2').getExtension('WEBGL_lose_context')).loseContext()"})
	lost.until("#chart", words)
	lost.picture("map-lost")
	lost.do("read", object{"expression": "self.graphics.restoreContext()"})
	lost.do("until", object{"expression": fmt.Sprintf("!document.querySelector('#chart').innerText.includes(%q)", words)})
	never.clean()
	lost.clean()
}
