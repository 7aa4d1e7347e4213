package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"ronde/session"
)

// visit is a doctor on the way through the public URL to the running server.
type visit struct {
	*doctor
	client *http.Client
	token  string // the probe; "" if none could be made
	live   knock  // at the live socket, as a browser
	agent  knock  // at the agents' socket, as an app
}

const (
	livePath   = "/v1/live"
	eventsPath = "/v1/live/events"
)

// examine runs the checks of the way, if it leads to a Ronde.
func (v *visit) examine(ctx context.Context, report func(finding) error) error {
	f, date, reached := v.reach(ctx)
	if err := report(f); err != nil || !reached {
		return err
	}
	f = v.mint(ctx)
	v.knock(ctx)
	defer v.leave()
	findings := []finding{date, f, v.checkUpgrade(), v.checkSubprotocol(), v.checkOrigin(), v.checkAuthorization(), v.checkAddress()}
	findings = append(findings, v.checkStreams(ctx)...)
	findings = append(findings, v.checkBody(ctx), v.checkHeaders(ctx))
	for _, f := range findings {
		if f.Check == "" {
			continue
		}
		if err := report(f); err != nil {
			return err
		}
	}
	return nil
}

// answer is a whole answer to a request.
type answer struct {
	*http.Response
	body  []byte
	local string // our address of the connection
}

// problem returns the code of a refusal of Ronde's own, or "".
func (a *answer) problem() string { return problemOf(a.Response, a.body) }

func problemOf(resp *http.Response, body []byte) string {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		return ""
	}
	var p struct{ Code string }
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	return p.Code
}

// fetch makes a request and reads its answer. Headers are pairs.
func (v *visit) fetch(ctx context.Context, method, path string, body []byte, headers ...string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, v.wait)
	defer cancel()
	a := &answer{}
	req, err := http.NewRequestWithContext(traced(ctx, &a.local), method, v.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a.Response = resp
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return a, err
}

// traced returns a context whose request leaves the local address of its
// connection behind.
func traced(ctx context.Context, local *string) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { *local = info.Conn.LocalAddr().String() },
	})
}

// reach asks for the one document that every Ronde has, and tells what answered
// instead.
func (v *visit) reach(ctx context.Context) (f, date finding, reached bool) {
	before := v.now()
	a, err := v.fetch(ctx, http.MethodGet, "/v1/openapi.json", nil)
	after := v.now()
	if err != nil {
		return v.unreached(err), date, false
	}
	if location := a.Header.Get("Location"); a.StatusCode/100 == 3 {
		return broken("url", "put the origin that browsers end at into --public-url, on every node", "%s sends browsers on to %s", v.url, location), date, false
	}
	var doc struct {
		Info struct{ Title, Version string }
	}
	switch {
	case a.StatusCode == http.StatusOK && json.Unmarshal(a.body, &doc) == nil && doc.Info.Title == "Ronde":
		if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
			date = judgeDrift("server clock", "the server", driftOf(before, after, at, time.Second))
		}
		return healthy("url", "Ronde %s answers at %s", doc.Info.Version, v.url), date, true
	case a.problem() != "":
		return broken("url", "let the proxy pass paths on as they are: Ronde serves /v1, /live, /docs and /assets at the root of an origin",
			"a Ronde answers at %s, but not for this path (%s): the path arrives rewritten", v.url, a.problem()), date, false
	case a.StatusCode == http.StatusBadGateway || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusGatewayTimeout:
		return broken("url", "is a node running, and does the proxy send to its --listen?", "the proxy at %s reaches no node: %s", v.url, a.Status), date, false
	}
	return broken("url", "does the name point to the proxy, and does the proxy send /v1 to Ronde?", "something that is no Ronde answers at %s: %s", v.url, a.Status), date, false
}

// unreached says why nothing answered. That nothing runs yet is no failure of
// an installation, unless somebody says that it does.
func (v *visit) unreached(err error) finding {
	var broke *url.Error
	if errors.As(err, &broke) {
		err = broke.Err
	}
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return broken("url", "renew or replace the certificate: browsers will refuse it too, and phones send nothing", "%s: %v", v.url, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return broken("url", "is the port right, and does the proxy speak TLS there?", "%s does not speak TLS", v.url)
	case v.running || v.asked:
		return broken("url", "does the name resolve, is the port open, is the proxy up?", "nothing answers at %s: %v", v.url, err)
	}
	return doubtful("url", "start the server and run this again, to check the way through the proxy", "nothing answers at %s yet", v.url)
}

// probeLife is how long the probe is good beyond the time that sockets are held.
// What may be asked for keeps it within the hour that the rules allow.
const (
	probeLife = 5 * time.Minute
	maxIdle   = 30 * time.Minute
	maxWait   = 5 * time.Minute
)

// mint makes the probe, with the keys that every node of the installation has.
func (v *visit) mint(ctx context.Context) finding {
	if v.ring == nil {
		return doubtful("probe", "mend the keys first", "without the installation's keys only half of the way can be checked")
	}
	// A node makes the first key when it starts. A doctor makes none.
	switch keys, err := v.ring.SigningKeys(ctx); {
	case err != nil:
		return broken("probe", "is the keyring whole?", "no probe can be signed: %v", err)
	case len(keys) == 0:
		return doubtful("probe", "start a node and run this again", "no node has ever signed anything, and this command changes nothing: only half of the way can be checked")
	}
	tokens := session.NewTokens(v.ring, v.now)
	token, err := tokens.Issue(ctx, session.Principal{
		Role: session.Doctor, Subject: session.NewID(), Expires: v.now().Add(v.idle + v.wait + probeLife),
	})
	if err != nil {
		return broken("probe", "is the keyring whole?", "no probe can be signed: %v", err)
	}
	v.token = token
	return finding{}
}

func (v *visit) bearer() string { return fmt.Sprintf("Bearer %s", v.token) }
