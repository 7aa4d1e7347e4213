package web_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ronde/web"
)

// P24: a peer that sends one byte and waits is cut.
func TestSlowHeadersAreCut(t *testing.T) {
	w := newWorld(t)
	if c := w.http.Config; c.ReadHeaderTimeout <= 0 || c.ReadHeaderTimeout > 10*time.Second || c.ReadTimeout <= 0 || c.WriteTimeout <= 0 || c.IdleTimeout <= 0 || c.MaxHeaderBytes != 16<<10 || c.ErrorLog == nil {
		t.Fatalf("a bound is missing: %+v", c)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = web.NewHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	srv.Config.ReadHeaderTimeout = 50 * time.Millisecond
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the connection was not cut: %v", err)
	}
}

func TestHeadersOf64KB(t *testing.T) {
	w := newWorld(t)
	conn, err := net.Dial("tcp", w.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.WriteString(conn, "GET /v1/missions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KB of headers: %d", resp.StatusCode)
	}
}

// A stream lives longer than any bound of the listener on one request.
func TestStreamOutlivesTheBounds(t *testing.T) {
	const bound = 50 * time.Millisecond
	w := newWorld(t, func(o *web.Options) {
		o.LiveEvents = streaming(func(rw http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(rw).Flush()
			past := time.NewTimer(4 * bound)
			defer past.Stop()
			select {
			case <-past.C:
				_, _ = io.WriteString(rw, "still here")
			case <-r.Context().Done():
			}
		})
	})
	_, token := w.link(w.mission())
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = web.NewHTTPServer(w.http.Config.Handler, slog.New(slog.DiscardHandler))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = bound, bound
	srv.Start()
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/v1/live/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if a := w.send(req).want(200, ""); string(a.body) != "still here" {
		t.Errorf("read %q", a.body)
	}
}

// P30: what a client says of itself counts only if a proxy of ours says it.
func TestForwardedFor(t *testing.T) {
	loopback, proxy := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	six := netip.MustParsePrefix("2001:db8::/32")
	for _, c := range []struct {
		trusted []netip.Prefix
		chain   []string
		want    string
	}{
		{nil, []string{"1.2.3.4"}, "127.0.0.1"},
		{[]netip.Prefix{proxy}, []string{"1.2.3.4"}, "127.0.0.1"},
		{[]netip.Prefix{loopback}, nil, "127.0.0.1"},
		{[]netip.Prefix{loopback}, []string{"1.2.3.4"}, "1.2.3.4"},
		{[]netip.Prefix{loopback}, []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{[]netip.Prefix{loopback}, []string{"6.6.6.6", "1.2.3.4"}, "1.2.3.4"},
		{[]netip.Prefix{loopback, proxy}, []string{"6.6.6.6, 1.2.3.4, 10.1.1.1"}, "1.2.3.4"},
		{[]netip.Prefix{loopback, proxy}, []string{"6.6.6.6, 1.2.3.4, ::ffff:10.1.1.1"}, "1.2.3.4"},
		{[]netip.Prefix{loopback, proxy}, []string{"10.2.2.2, 10.1.1.1"}, "10.2.2.2"},
		{[]netip.Prefix{loopback, proxy}, []string{"6.6.6.6, nonsense, 10.1.1.1"}, "10.1.1.1"},
		{[]netip.Prefix{loopback}, []string{"nonsense"}, "127.0.0.1"},
		{[]netip.Prefix{loopback}, []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{[]netip.Prefix{loopback, six}, []string{"2001:db9::1, 2001:db8::1"}, "2001:db9::1"},
		{[]netip.Prefix{loopback}, []string{""}, "127.0.0.1"},
	} {
		w := newWorld(t, func(o *web.Options) { o.TrustedProxies = c.trusted })
		headers := append(w.shake(web.AgentSocket), "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "Forwarded", "for=6.6.6.6", "X-Real-IP", "6.6.6.6")
		for _, line := range c.chain {
			headers = append(headers, "X-Forwarded-For", line)
		}
		told := w.call("GET", "/v1/agent", "", "", headers...).want(200, "").json()
		host, _, err := net.SplitHostPort(told["remote"].(string))
		if err != nil || host != c.want {
			t.Errorf("trusting %v, %v: the client is %s, want %s", c.trusted, c.chain, told["remote"], c.want)
		}
		if forwarded := told["forwarded"].([]any); len(forwarded) != 0 {
			t.Errorf("a handler sees %v", forwarded)
		}
	}
}
