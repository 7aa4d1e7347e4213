package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/configs"
)

// reverse is a proxy that is right but for what change does to requests and
// answer to answers.
func reverse(change func(*httputil.ProxyRequest), answer func(*http.Response) error) func(string) http.Handler {
	return func(node string) http.Handler {
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.Out.URL.Scheme, r.Out.URL.Host = "http", node
				r.SetXForwarded()
				if change != nil {
					change(r)
				}
			},
			ModifyResponse: answer,
		}
	}
}

// fixed is a proxy that answers by itself.
func fixed(answer http.HandlerFunc) func(string) http.Handler {
	return func(string) http.Handler { return answer }
}

// before lets a handler answer instead of a proxy that is right, unless it
// returns false.
func before(answer func(http.ResponseWriter, *http.Request) bool) func(string) http.Handler {
	return func(node string) http.Handler {
		next := reverse(nil, nil)(node)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !answer(w, r) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// removing is a proxy that removes a header from requests.
func removing(header string) func(string) http.Handler {
	return reverse(func(r *httputil.ProxyRequest) { r.Out.Header.Del(header) }, nil)
}

// onEvents changes the answer that is an event stream.
func onEvents(change func(*http.Response)) func(*http.Response) error {
	return func(resp *http.Response) error {
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			change(resp)
		}
		return nil
	}
}

// mistake is one thing that proxies do wrong, and what the doctor says of it.
type mistake struct {
	name    string
	proxy   func(node string) http.Handler
	check   string
	verdict string
	says    []string
	args    []string // for the doctor, besides those of the way
}

var mistakes = []mistake{
	{"no upgrade", removing("Upgrade"), "upgrade", verdictFail, []string{"the Upgrade header does not arrive", "proxy_set_header Upgrade"}, nil},
	{"no connection", reverse(func(r *httputil.ProxyRequest) { r.Out.Header.Set("Connection", "keep-alive") }, nil),
		"upgrade", verdictFail, []string{`Connection arrives as "keep-alive"`}, nil},
	{"http 1.0", oldProtocol, "upgrade", verdictFail, []string{"HTTP/1.0", "proxy_http_version 1.1"}, nil},
	{"upgrade refused", before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Upgrade") != "" {
			http.Error(w, "no", http.StatusForbidden)
		}
		return r.Header.Get("Upgrade") != ""
	}), "upgrade", verdictFail, []string{"403"}, nil},

	{"subprotocol kept", removing("Sec-WebSocket-Protocol"), "subprotocol", verdictFail, []string{"does not arrive", "Sec-WebSocket-Protocol"}, nil},
	{"subprotocol not returned", reverse(nil, func(resp *http.Response) error { resp.Header.Del("Sec-WebSocket-Protocol"); return nil }),
		"subprotocol", verdictFail, []string{"does not come back"}, nil},

	{"origin rewritten", reverse(func(r *httputil.ProxyRequest) {
		if r.Out.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", "http://backend:8080")
		}
	}, nil), "origin", verdictFail, []string{"rewrites Origin to http://backend:8080"}, nil},
	{"origin removed", removing("Origin"), "origin", verdictFail, []string{"removes the Origin"}, nil},
	{"origin made up", reverse(func(r *httputil.ProxyRequest) { r.Out.Header.Set("Origin", "http://backend") }, nil),
		"origin", verdictFail, []string{"makes up an Origin"}, nil},

	{"authorization kept", removing("Authorization"), "authorization", verdictFail, []string{"does not arrive"}, nil},
	{"a password of its own", before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != agentPath {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}), "authorization", verdictFail, []string{"password of its own"}, nil},

	{"events kept back", reverse(nil, onEvents(func(resp *http.Response) { resp.Body = io.NopCloser(&late{from: resp.Body}) })),
		"events", verdictFail, []string{"held back", "proxy_buffering off"}, nil},
	{"events compressed", reverse(nil, onEvents(func(resp *http.Response) {
		resp.Header.Set("Content-Encoding", "gzip")
		resp.Body = io.NopCloser(&late{from: resp.Body, squeeze: true})
	})), "events", verdictFail, []string{"compresses"}, nil},
	{"events of others", before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == eventsPath {
			http.NotFound(w, r)
		}
		return r.URL.Path == eventsPath
	}), "events", verdictFail, []string{"404"}, nil},

	{"no address", reverse(func(r *httputil.ProxyRequest) { r.Out.Header.Del("X-Forwarded-For") }, nil),
		"address", verdictWarn, []string{"says nothing of its clients", "option forwardfor"}, nil},
	{"an address nobody believes", reverse(nil, nil), "address", verdictWarn, []string{"--trusted-proxies 127.0.0.1"}, nil},
	{"claims passed on", reverse(func(r *httputil.ProxyRequest) { r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"] }, nil),
		"address", verdictWarn, []string{"whatever clients claim"}, nil},

	{"short bodies", before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength > 64<<10 {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}
		return r.ContentLength > 64<<10
	}), "body", verdictFail, []string{"413", "client_max_body_size"}, nil},
	{"short headers", before(func(w http.ResponseWriter, r *http.Request) bool {
		long := len(r.Header.Get("Authorization")) > 2000
		if long {
			http.Error(w, "too large", http.StatusRequestHeaderFieldsTooLarge)
		}
		return long
	}), "headers", verdictFail, []string{"431", "large_client_header_buffers"}, nil},

	{"another path", reverse(func(r *httputil.ProxyRequest) { r.Out.URL.Path = strings.TrimPrefix(r.Out.URL.Path, "/v1") }, nil),
		"url", verdictFail, []string{"the path arrives rewritten"}, nil},
	{"another scheme", fixed(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
	}), "url", verdictFail, []string{"sends browsers on to https://", "--public-url"}, nil},
	{"another program", fixed(http.NotFound), "url", verdictFail, []string{"no Ronde answers"}, nil},
	{"no node", fixed(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }),
		"url", verdictFail, []string{"reaches no node", "--listen"}, nil},
	{"another time", reverse(nil, func(resp *http.Response) error {
		resp.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		return nil
	}), "server clock", verdictFail, []string{"behind", "NTP"}, nil},
}

// late is a body that is kept back until it has ended, or squeezed.
type late struct {
	from    io.Reader
	squeeze bool
	all     io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.all == nil && l.squeeze {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if err := z.Flush(); err != nil {
			return 0, err
		}
		l.all = io.MultiReader(&b, l.from) // how it goes on, nobody reads
	}
	if l.all == nil {
		whole, err := io.ReadAll(l.from)
		if err != nil {
			return 0, err
		}
		l.all = bytes.NewReader(whole)
	}
	return l.all.Read(p)
}

// oldProtocol is a proxy that speaks HTTP/1.0 to the node and passes on the
// rest.
func oldProtocol(node string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		backend, err := net.Dial("tcp", node)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = backend.Close() }()
		defer context.AfterFunc(r.Context(), func() { _ = backend.Close() })()
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(backend, "%s %s HTTP/1.0\r\nHost: %s\r\nContent-Length: %d\r\n", r.Method, r.URL.RequestURI(), r.Host, len(body))
		_ = r.Header.WriteSubset(backend, map[string]bool{"Host": true, "Content-Length": true})
		fmt.Fprintf(backend, "\r\n%s", body)
		resp, err := http.ReadResponse(bufio.NewReader(backend), r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
}

// TestDoctorFindsMistakesOfProxies puts one wrong proxy after another before a
// node.
func TestDoctorFindsMistakesOfProxies(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			w := newWay(t, m.proxy)
			diagnose(t, append(w.args, m.args...)...).want(m.check, m.verdict, m.says...)
		})
	}
}

// TestDoctorApprovesOfAProxy: one that is right, and believed.
func TestDoctorApprovesOfAProxy(t *testing.T) {
	believed := func(c *configs.Config) { c.TrustedProxies = "127.0.0.1" }
	d := diagnose(t, newWay(t, reverse(nil, nil), believed).args...)
	d.green("public-url files")
	d.want("address", verdictOK, "clients keep their addresses")

	claims := reverse(func(r *httputil.ProxyRequest) { r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"] }, nil)
	diagnose(t, newWay(t, claims, believed).args...).want("address", verdictFail, "whatever clients claim", "is believed")
}

// TestDoctorBodyIsTheLongest: what the doctor sends is what Ronde reads, and a
// byte more is not.
func TestDoctorBodyIsTheLongest(t *testing.T) {
	a := startConfigured(t, embedded(t.TempDir()))
	for length, want := range map[int]int{longestBody: http.StatusUnprocessableEntity, longestBody + 1: http.StatusRequestEntityTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.config.PublicURL+"/v1/missions", bytes.NewReader(bytes.Repeat([]byte(" "), length)))
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+a.key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %s, want %d", length, resp.Status, want)
		}
	}
}

// TestDoctorFindsShortTimeouts lets a relay cut what falls silent.
func TestDoctorFindsShortTimeouts(t *testing.T) {
	for name, trigger := range map[string]string{"sockets": "101 Switching", "streams": "event: probe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay, err := net.Listen("tcp", "127.0.0.1:0")
			check(t, err)
			c := embedded(t.TempDir())
			c.PublicURL = "http://" + relay.Addr().String()
			a := startConfigured(t, c)
			var relaying sync.WaitGroup
			relaying.Go(func() { relayTo(a.public.Addr().String(), relay, trigger) })
			t.Cleanup(func() { _ = relay.Close(); relaying.Wait() })
			d := diagnose(t, "--data", c.Data, "--public-url", c.PublicURL, "--listen", a.public.Addr().String(),
				"--ops-listen", a.ops.Addr().String(), "--idle", "3s")
			what := map[string]string{"sockets": "socket was cut", "streams": "event stream was cut"}[name]
			d.want("idle", verdictFail, what, "25s", "proxy_read_timeout")
		})
	}
}

// relayTo relays connections to a node until the listener is closed. One on
// which the trigger has come back is cut as soon as it falls silent.
func relayTo(node string, l net.Listener, trigger string) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		backend, err := net.Dial("tcp", node)
		if err != nil {
			_ = client.Close()
			return
		}
		all.Go(func() {
			_, _ = io.Copy(backend, client)
			_ = backend.Close()
		})
		all.Go(func() {
			defer func() { _ = client.Close() }()
			buffer := make([]byte, 64<<10)
			for {
				n, err := backend.Read(buffer)
				if err != nil {
					return
				}
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
				if bytes.Contains(buffer[:n], []byte(trigger)) {
					_ = backend.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				}
			}
		})
	}
}

// TestDoctorNamesWhatKeepsItOut: no server, no certificate, other keys, another
// public URL.
func TestDoctorNamesWhatKeepsItOut(t *testing.T) {
	data := served(t)
	address, _ := taken(t)
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer func() { _ = l.Close() }()
		return "http://" + l.Addr().String()
	}()
	diagnose(t, idleNode(data, "--public-url", closed)...).want("url", verdictWarn, "nothing answers", "start the server")
	diagnose(t, idleNode(data, "--url", closed)...).want("url", verdictFail, "nothing answers", "is the proxy up")
	diagnose(t, idleNode(data, "--url", "http://"+address, "--wait", "1s")...).want("url", verdictFail, "nothing answers")
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	diagnose(t, idleNode(data, "--url", tls.URL)...).want("url", verdictFail, "certificate")

	w := newWay(t, reverse(nil, nil))
	plain, err := url.Parse(w.proxy.URL)
	check(t, err)
	diagnose(t, append(w.args, "--url", "https://"+plain.Host)...).want("url", verdictFail, "does not speak TLS")
	diagnose(t, append(w.args, "--data", data)...).want("authorization", verdictWarn, "--keys", "--root-secret-file")
	d := diagnose(t, append(w.args, "--url", w.proxy.URL, "--public-url", "https://ronde.example")...)
	d.want("origin", verdictFail, "the server lets in pages of "+w.proxy.URL, "--public-url is https://ronde.example")
	d = diagnose(t, append(w.args, "--keys", "file:"+t.TempDir())...)
	d.want("probe", verdictWarn, "mend the keys")
	d.want("upgrade", verdictOK)
	d.want("subprotocol", verdictOK)
	d.want("origin", verdictOK)
}
