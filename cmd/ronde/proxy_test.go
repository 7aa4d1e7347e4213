package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// front is a real proxy before a cluster, set up by the file that is shipped.
type front struct {
	*cluster
	log  *logBuffer // what the proxy says
	cert string     // PEM file that makes a process trust the proxy; "" without TLS
}

// launch runs a proxy until the test ends. Its program is a Debian package's.
func launch(t *testing.T, log *logBuffer, files []*os.File, environment []string, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not in an ordinary user's PATH
	}
	if err != nil {
		t.Fatalf("%v; install its Debian package (make test does so where it may)", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), environment...)
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // a signal ended it, and says so
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log)
		}
	})
}

// loopback listens on a port of the system's choice and returns the listener as
// a file, which a child of ours inherits.
func loopback(t *testing.T) (address string, file *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	file, err = l.(*net.TCPListener).File()
	check(t, err)
	check(t, l.Close())
	t.Cleanup(func() { _ = file.Close() })
	return l.Addr().String(), file
}

// certificate makes one for this machine, and returns its files and what trusts
// it.
func certificate(t *testing.T) (cert, key string, trusted *tls.Config) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	folder := t.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(t, os.WriteFile(cert, certPEM, 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, &tls.Config{RootCAs: pool}
}

// shipped returns the text of a file in configs.
func shipped(t *testing.T, name string) string {
	t.Helper()
	return string(readFile(t, filepath.Join("..", "..", "configs", name)))
}

// examine runs ronde doctor through the proxy.
func (f *front) examine(args ...string) *diagnosis {
	f.t.Helper()
	cmd := program(f.t, append(append([]string{"doctor", "--json"}, f.args...), args...)...)
	if f.cert != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+f.cert)
	}
	return processed(f.t, cmd)
}

// approved checks that the doctor approves of the proxy.
func (f *front) approved() {
	f.t.Helper()
	d := f.examine()
	d.green("bus public-url files")
	d.want("upgrade", verdictOK)
	d.want("events", verdictOK)
	d.want("idle", verdictOK)
	d.want("address", verdictOK, "clients keep their addresses: this one is 127.0.0.1")
}

// survives walks a patrol through the proxy while one node is stopped: whoever
// was there comes back, by the other node, and nothing else happens to anybody.
func (f *front) survives() {
	f.t.Helper()
	p := f.newPatrol()
	p.walk()
	stopped := make(chan error, 1)
	go func() { stopped <- f.nodes[0].stop() }()
	for p.moves() == 0 {
		p.walk() // of three, one is at the node that stops
	}
	check(f.t, <-stopped)
	for range 3 {
		p.walk()
	}
	if n := f.open(f.t.Context()); n < 3 {
		f.t.Errorf("%d sockets and streams are open, and three guests are there", n)
	}
	p.leave()
	f.t.Logf("guests came back %d times once the first node stopped", p.moves())
}

// secretive checks that the proxy's log holds nothing of what went through it,
// even once no node is left.
func (f *front) secretive() {
	f.t.Helper()
	check(f.t, f.nodes[1].stop())
	const canary = "48.7654321"
	for _, path := range []string{"/v1/phone/osmand?lat=" + canary, "/v1/agent?lat=" + canary} {
		req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.origin+path, nil)
		check(f.t, err)
		req.Header.Set("Authorization", "Bearer canary-token")
		req.Header.Set("Sec-WebSocket-Protocol", "ronde.agent.v1, bearer.canary-token")
		resp, err := f.client.Do(req)
		check(f.t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusServiceUnavailable {
			f.t.Errorf("without a node: %s", resp.Status)
		}
	}
	for _, secret := range []string{canary, "canary-token", "bearer.", f.nodes[0].key} {
		if strings.Contains(f.log.String(), secret) {
			f.t.Errorf("the proxy's log holds %q:\n%s", secret, f.log)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

// replace puts other text into a shipped file, where it stands exactly once.
// The pairs are old and new.
func replace(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(text, pairs[i]); n != 1 {
			t.Fatalf("%q stands %d times in the file", pairs[i], n)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// newHAProxy starts HAProxy with the shipped file as it stands but for edits.
// What differs from place to place comes by the environment, as the file says.
func newHAProxy(t *testing.T, start starter, edits ...string) *front {
	t.Helper()
	cert, key, trusted := certificate(t)
	address, https := loopback(t)
	_, plain := loopback(t)
	_, stats := loopback(t)
	f := &front{cluster: start(t, "https://"+address, trusted), log: &logBuffer{}, cert: cert}
	folder := filepath.Dir(cert)
	both, config := filepath.Join(folder, "both.pem"), filepath.Join(folder, "haproxy.cfg")
	check(t, os.WriteFile(both, append(readFile(t, cert), readFile(t, key)...), 0o600))
	check(t, os.WriteFile(config, []byte(replace(t, shipped(t, "haproxy.cfg"), edits...)), 0o600))
	launch(t, f.log, []*os.File{https, plain, stats}, []string{
		"RONDE_HTTPS=fd@3", "RONDE_HTTP=fd@4", "RONDE_STATS=fd@5", "RONDE_CERT=" + both, "RONDE_OPS_PORT=" + f.opsPort,
		"RONDE_NODE1=" + f.nodes[0].public.Addr().String(), "RONDE_NODE2=" + f.nodes[1].public.Addr().String(),
	}, "haproxy", "-db", "-f", config)
	return f
}

// newNginx starts nginx with the shipped file, in which names and addresses are
// replaced, as it says, and the edits are made.
func newNginx(t *testing.T, start starter, edits ...string) *front {
	t.Helper()
	cert, key, trusted := certificate(t)
	address, https := loopback(t)
	plainAddress, plain := loopback(t)
	f := &front{cluster: start(t, "https://"+address, trusted), log: &logBuffer{}, cert: cert}
	folder := filepath.Dir(cert)
	site, main := filepath.Join(folder, "site.conf"), filepath.Join(folder, "main.conf")
	text := replace(t, shipped(t, "nginx.conf"), edits...)
	text = replace(t, text,
		"listen 443 ssl", "listen "+address+" ssl", "listen 80;", "listen "+plainAddress+";",
		"/etc/ssl/ronde/fullchain.pem", cert, "/etc/ssl/ronde/key.pem", key, "/var/log/nginx/ronde.log", "stderr",
		"10.0.0.11:8080", f.nodes[0].public.Addr().String(), "10.0.0.12:8080", f.nodes[1].public.Addr().String())
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the folder is closed to others
	}
	check(t, os.WriteFile(site, []byte(text), 0o600))
	check(t, os.WriteFile(main, fmt.Appendf(nil, "%s daemon off; pid %s/pid; error_log stderr; events {}\nhttp { client_body_temp_path %s/body; "+
		"proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi; uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi; include %s; }\n",
		user, folder, folder, folder, folder, folder, folder, site), 0o600))
	launch(t, f.log, []*os.File{https, plain}, []string{"NGINX=3;4;"}, "nginx", "-c", main, "-p", folder)
	return f
}

// newCaddy starts Caddy with the shipped file as it stands but for edits. What
// differs from place to place comes by the environment, as the file says; a
// site without TLS too, because for another Caddy would want a public name.
func newCaddy(t *testing.T, start starter, edits ...string) *front {
	t.Helper()
	address, held := loopback(t)
	f := &front{cluster: start(t, "http://"+address, nil), log: &logBuffer{}}
	folder := t.TempDir()
	config := filepath.Join(folder, "Caddyfile")
	check(t, os.WriteFile(config, []byte(replace(t, shipped(t, "Caddyfile"), edits...)), 0o600))
	check(t, held.Close()) // Caddy listens by itself
	launch(t, f.log, nil, []string{
		"HOME=" + folder, "XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder, "RONDE_CADDY_ADMIN=off",
		"RONDE_SITE=http://" + address, "RONDE_OPS_PORT=" + f.opsPort,
		"RONDE_NODES=" + f.nodes[0].public.Addr().String() + " " + f.nodes[1].public.Addr().String(),
	}, "caddy", "run", "--config", config, "--adapter", "caddyfile")
	awaitListener(t, address)
	return f
}

// awaitListener waits until somebody listens.
func awaitListener(t testing.TB, address string) {
	t.Helper()
	poll(t, "a listener at "+address, func() error {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// TestHAProxy, TestNginx and TestCaddy run the files that are shipped.
func TestHAProxy(t *testing.T) {
	f := newHAProxy(t, newCluster)
	f.approved()
	f.survives()
	f.examine("--idle", "0s").want("url", verdictOK) // by the node that is left
	f.secretive()
	if !strings.Contains(f.log.String(), `"path":"/v1/phone/osmand","status":503`) {
		t.Errorf("the log says nothing of a request:\n%s", f.log)
	}
}

func TestNginx(t *testing.T) {
	f := newNginx(t, newCluster)
	f.approved()
	f.survives()
	f.secretive()
}

func TestCaddy(t *testing.T) {
	f := newCaddy(t, newCluster)
	f.approved()
	f.survives()
	f.secretive()
}
