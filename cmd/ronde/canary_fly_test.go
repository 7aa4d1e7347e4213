package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// opened names the link that is opened in the browser.
const opened = "link in the browser"

// fly takes the canary through everything that a phone, a client, a platform and an operator may do, well and badly.
func (c *canary) fly() {
	c.t.Helper()
	c.call(200, "PUT", "/v1/notice", object{"text": "Nous vous localisons pendant vos missions."})
	mission := c.plan("badge-17", nil)
	agent, link := c.agentToken(mission), c.link(mission, "exact")
	coarse := c.call(201, "POST", "/v1/missions/"+mission+"/links", object{"profile": "cell:9", "trail": true})["token"].(string)
	for name, token := range map[string]string{"agent token": agent, opened: link, "link to cells": coarse} {
		c.needles = append(c.needles, tokenNeedles(c.t, name, token)...)
	}
	phone := phoneOf(c.testApp, agent)
	phone.send(object{"type": "notice", "version": 1})
	phone.until("state")
	phone.send(object{"type": "begin"})
	phone.until("state")
	viewer, events := c.there.socket("/v1/live", "ronde.live.v1", link), c.there.events(coarse)
	viewer.until("snapshot")
	browser := c.browse(link)

	at := time.Now()
	phone.send(object{"type": "pings", "pings": []object{sighting(1, at), sighting(2, at), sighting(3, at.Add(-time.Hour)), sighting(4, at.Add(time.Hour))}})
	phone.until("ack")
	for !sees(viewer.until("progress"), canaryLatitude) {
	}
	events.until("progress")
	c.babble(phone, agent)
	c.read(mission, "")
	c.misuse(mission, agent, link)
	c.panicOnce(agent)
	if browser != nil {
		browser.do("until", object{"expression": "document.querySelector('[data-alias]') !== null"}) // the marker is on the map
	}
	c.saved(mission)
	phone.send(object{"type": "pause"})
	phone.until("state")
	phone.send(object{"type": "pings", "pings": []object{sighting(8, time.Now())}})
	phone.until("refused")
	phone.send(object{"type": "resume"})
	phone.until("state")
	phone.send(object{"type": "sos", "active": true})
	phone.until("sos")
	c.call(200, "POST", "/v1/missions/"+mission+"/hold", object{"reason": "a dispute", "until": time.Now().Add(24 * time.Hour).Format(time.RFC3339)})
	c.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	viewer.until("ended")
	if browser != nil {
		browser.until("#headline", "Mission over")
		browser.close()
	}
	c.spent(link)
	c.keep(mission)
	c.forget()
	c.administer()
}

// saved waits until the store has the progress that the positions came to, as it gets every few seconds.
func (c *canary) saved(mission string) {
	c.t.Helper()
	(&audited{testApp: c.testApp}).waitUntil("progress is saved", func() bool {
		list, err := c.service.Store.SavedProgress(c.t.Context(), "acme", mustID(c.t, mission))
		check(c.t, err)
		return len(list) > 0
	})
}

// spent checks that a link, which a browser remembers, shows no position once its mission is over.
func (c *canary) spent(link string) {
	c.t.Helper()
	late := c.there.socket("/v1/live", "ronde.live.v1", link)
	for {
		frame, code := late.next()
		if code != 0 {
			if code != 4004 {
				c.t.Errorf("a late viewer's socket closes with %d", code)
			}
			return
		}
		if raw, err := json.Marshal(frame); err != nil || strings.Contains(string(raw), "48.8613") {
			c.t.Errorf("a late viewer sees %s, %v", raw, err)
		}
	}
}

// plan creates a mission far from the canary, of one agent.
func (c *canary) plan(agent string, policy object) (mission string) {
	c.t.Helper()
	now := time.Now()
	body := object{
		"reference": "M-1", "site": object{"name": "Entrepôt", "point": object{"latitude": 48.9, "longitude": 2.5}, "radius_m": 100},
		"starts_at": now.Format(time.RFC3339), "ends_at": now.Add(time.Hour).Format(time.RFC3339),
		"agents": []object{{"agent": agent}},
	}
	if policy != nil {
		body["policy"] = policy
	}
	return c.call(201, "POST", "/v1/missions", body)["id"].(string)
}

// sighting is a ping from where the canary is.
func sighting(seq int, at time.Time) object {
	return object{
		"seq": seq, "timestamp": at.UnixMilli(), "latitude": canaryLatitude, "longitude": canaryLongitude,
		"accuracy": 5, "altitude": 61.2, "heading": 87.5, "speed": 1.4, "battery": 0.81,
	}
}

// babble sends the canary in frames that are wrong in many ways. None of them costs the socket.
func (c *canary) babble(phone *testSocket, token string) {
	c.t.Helper()
	for _, frame := range []any{
		object{"type": "pings", "pings": "48.8613579", "latitude": canaryLatitude, "longitude": canaryLongitude},
		object{"type": "no such " + token, "latitude": canaryLatitude},
		object{"type": "pause", "timestamp": canaryLatitude},
		object{"type": "notice", "version": fmt.Sprint(canaryLongitude)},
		object{"48.8613579": token},
		[]any{canaryLatitude, canaryLongitude},
	} {
		phone.send(frame)
		phone.until("error")
	}
	broken := sighting(5, time.Now())
	broken["longitude"] = fmt.Sprint(canaryLongitude)
	beyond := sighting(6, time.Now())
	beyond["longitude"] = canaryLongitude + 1000
	negative := sighting(7, time.Now())
	negative["accuracy"] = -5
	phone.send(object{"type": "pings", "pings": []object{broken, beyond, negative}})
	for range 3 {
		if refused := phone.until("refused"); refused["code"] != "invalid" {
			c.t.Errorf("refused with %v", refused)
		}
	}
}

// read reads whatever shows where agents were, from both nodes. With a reason, the mission is held and over.
func (c *canary) read(mission, reason string) {
	c.t.Helper()
	for _, node := range []*testApp{c.testApp, c.there} {
		for _, path := range []string{"/track", "/progress", "/report"} {
			status, body := node.fetch("GET", "/v1/missions/"+mission+path, c.key, "", "Access-Reason", url.PathEscape(reason))
			if status != 200 || path == "/track" && !strings.Contains(body, "48.8613579") {
				c.t.Fatalf("%s: %d %s", path, status, body)
			}
		}
		for _, path := range []string{"/export", "/export?format=gpx", "/ledger"} {
			status, body := node.fetch("GET", "/v1/agents/badge-17"+path, c.key, "", "Access-Reason", url.PathEscape(reason))
			if status != 200 || path != "/ledger" && !strings.Contains(body, "48.8613579") {
				c.t.Fatalf("%s: %d %s", path, status, body)
			}
		}
		for _, path := range []string{"/v1/access-log?limit=1000", "/v1/policy", "/v1/missions", "/v1/missions/" + mission + "/links", "/policy", "/v1/openapi.json"} {
			if status, body := node.fetch("GET", path, c.key, ""); status != 200 {
				c.t.Fatalf("%s: %d %s", path, status, body)
			}
		}
	}
}

// misuse shows each token where it does not belong, in whatever place of a request, and coordinates where none are asked for.
func (c *canary) misuse(mission, agent, link string) {
	c.t.Helper()
	for _, token := range []string{agent, link, c.key, c.key + "x"} {
		for _, path := range []string{"/v1/missions/" + mission, "/v1/agent", "/v1/live", "/no/such/" + token, "/v1/missions?limit=x&token=" + token, "/live?" + token, "/v1/live/events?x=" + token} {
			c.fetch("GET", path, token, "", "Referer", c.config.PublicURL+"/live#"+token, "User-Agent", token, "X-Request-Id", token, "Cookie", "token="+token)
		}
		c.fetch("GET", "/v1/agent", "", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol", "bearer."+token+", bearer."+token+", ronde.agent.v1")
	}
	place := `{"latitude":48.8613579,"longitude":"2.3517246"}`
	for _, body := range []string{place, `"48.8613579,2.3517246"`, `{"reference":` + place + `}`, `{"site":{"point":` + place + `}}`, `{"48.8613579":2.3517246}`, `{"starts_at":48.8613579`} {
		if status, answer := c.fetch("POST", "/v1/missions", c.key, body, "Content-Type", "application/json", "Idempotency-Key", "48.8613579"); status < 400 {
			c.t.Fatalf("%d %s", status, answer)
		}
	}
	for _, query := range []string{"/v1/missions?latitude=48.8613579", "/v1/missions?cursor=48.8613579", "/v1/missions/48.8613579,2.3517246/track", "/v1/access-log?from=48.8613579"} {
		c.fetch("GET", query, c.key, "")
	}
}

// panicOnce lets a handler panic with the canary on its lips.
func (c *canary) panicOnce(token string) {
	c.t.Helper()
	text := fmt.Sprintf("index out of range with length 0 at %v,%v for %s", canaryLatitude, canaryLongitude, token)
	c.panics.Store(&text)
	status, body := c.fetch("GET", "/v1/missions", c.key, "")
	c.panics.Store(nil)
	if status != 500 || strings.Contains(body, "48.8613") || !strings.Contains(c.log.String(), "handler panicked") {
		c.t.Errorf("a panic is answered with %d %s", status, body)
	}
}

// keep has the held track of a mission that is over copied to the archive, read, and released.
func (c *canary) keep(mission string) {
	c.t.Helper()
	_, err := c.service.Sweep(c.t.Context())
	check(c.t, err)
	c.read(mission, "claim 7")
	if hold := c.call(200, "DELETE", "/v1/missions/"+mission+"/hold", nil); hold["copied_at"] == nil {
		c.t.Errorf("the track was not copied: %v", hold)
	}
}

// forget has a mission that keeps no track, and then erases the agent of both.
func (c *canary) forget() {
	c.t.Helper()
	mission := c.plan("badge-17", object{"track": "none"})
	token := c.agentToken(mission)
	c.needles = append(c.needles, tokenNeedles(c.t, "second agent token", token)...)
	c.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	phone := phoneOf(c.there, token)
	phone.send(object{"type": "pings", "pings": []object{sighting(1, time.Now())}})
	phone.until("ack")
	c.call(200, "GET", "/v1/missions/"+mission+"/progress", nil)
	c.call(200, "DELETE", "/v1/missions/"+mission+"/agents/badge-17/token", nil)
	c.fetch("GET", "/v1/policy", token, "")
	c.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	if receipt := c.call(200, "POST", "/v1/agents/badge-17/erase", object{"reason": "asked by the agent"}); receipt["removed"].(object)["positions"] == 0.0 {
		c.t.Errorf("receipt %v", receipt)
	}
	_, err := c.service.Sweep(c.t.Context())
	check(c.t, err)
}

// administer runs the commands of whoever runs the installation, and fetches what they watch.
func (c *canary) administer() {
	c.t.Helper()
	settings := []string{"--data", c.config.Data, "--store", c.config.Store, "--keys", c.config.Keys, "--root-secret-file", c.config.RootSecretFile}
	(&audited{testApp: c.testApp}).signed()
	for _, command := range [][]string{
		{"keys", "rotate"}, {"apikey", "list", "--tenant", "acme"}, {"tenant", "list"}, {"audit", "verify"}, {"audit", "export"}, {"audit", "key"},
		{"retention", "check"}, {"retention", "sweep"}, {"config", "--bus", c.config.Bus}, {"config", "--json", "--bus", c.config.Bus},
		{"doctor", "--bus", c.config.Bus, "--public-url", c.config.PublicURL, "--listen", c.public.Addr().String(), "--ops-listen", c.ops.Addr().String(), "--idle", "10ms"},
	} {
		name := strings.Join(command[:min(2, len(command))], " ")
		o := ronde(c.t, append(command, settings...)...)
		if o.code == exitUsage || o.out == "" || o.code != exitOK && command[0] != "doctor" {
			c.t.Errorf("%s: exit code %d: %s%s", name, o.code, o.out, o.errors)
		}
		c.outputs[name] += o.out + o.errors
	}
	for _, node := range []*testApp{c.testApp, c.there} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			c.scrape("http://" + node.ops.Addr().String() + path)
		}
	}
	c.needles = append(c.needles, c.secrets()...)
}

// scrape fetches what a listener for operators says.
func (c *canary) scrape(url string) {
	c.t.Helper()
	c.scraped[url] = string(scrape(c.t, url))
}

// fetch makes a request, with headers in pairs, and returns the answer whatever it is. Of a stream that goes on it
// returns nothing.
func (a *testApp) fetch(method, path, token, body string, headers ...string) (status int, answer string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.config.PublicURL+path, strings.NewReader(body))
	check(a.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	check(a.t, err)
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return resp.StatusCode, ""
	}
	raw, err := io.ReadAll(resp.Body)
	check(a.t, err)
	return resp.StatusCode, string(raw)
}

// events opens an event stream with a link.
func (a *testApp) events(link string) *guest {
	a.t.Helper()
	return (&cluster{t: a.t, origin: a.config.PublicURL, client: http.DefaultClient}).eventsGuest(link)
}

// browse opens the client's page in a browser that keeps a profile, where there is one, and returns it.
func (c *canary) browse(link string) *browser {
	c.t.Helper()
	if c.profile == "" {
		return nil
	}
	b := openBrowser(c.t, c.config.PublicURL, "--profile="+c.profile)
	b.open(c.config.PublicURL + "/live#" + link)
	b.until("#headline", "Waiting for a position")
	return b
}
