package redisbus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/tracker/redisbus/redistest"
)

// authority is a certificate authority of the test's own. Its files are PEM.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.file, _, a.key = a.issue(t, "ca", a.cert)
	return a
}

// issue signs a certificate and returns the files of it and its key.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (cert, key string, private *ecdsa.PrivateKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(suffix, kind string, b []byte) string {
		file := filepath.Join(a.dir, name+suffix)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write(".crt", "CERTIFICATE", der), write(".key", "PRIVATE KEY", pkcs8), private
}

// leaf issues a certificate for an address, good for both ends.
func (a *authority) leaf(t *testing.T, name, ip string) (cert, key string) {
	t.Helper()
	cert, key, _ = a.issue(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return cert, key
}

// settings make a Redis speak TLS on a port, with a certificate for the address.
func (a *authority) settings(t *testing.T, port int, ip string) []string {
	t.Helper()
	cert, key := a.leaf(t, "server-"+ip, ip)
	return []string{
		fmt.Sprint("tls-port ", port), "tls-cert-file " + cert, "tls-key-file " + key, "tls-ca-cert-file " + a.file,
	}
}

func TestTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	port := redistest.FreePort(t)
	redistest.Start(t, append(ours.settings(t, port, "127.0.0.1"), "tls-auth-clients optional")...)
	address := fmt.Sprint("rediss://127.0.0.1:", port)

	root := session.NewRootSecret()
	here, there := open(t, address+"?ca="+ours.file, root, nil), open(t, address+"?ca="+ours.file, root, nil)
	mission := session.NewID()
	heard, _ := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)

	for name, url := range map[string]string{
		"a wrong authority": address + "?ca=" + theirs.file,
		"the system's own":  address,
		"another name":      strings.Replace(address, "127.0.0.1", "localhost", 1) + "?ca=" + ours.file,
	} {
		if _, err := tryOpen(t, url); err == nil || !strings.Contains(err.Error(), "TLS") || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTLSBothWays: Redis asks for a certificate, as it does unless told not to.
func TestTLSBothWays(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	port := redistest.FreePort(t)
	redistest.Start(t, ours.settings(t, port, "127.0.0.1")...)
	address := fmt.Sprintf("rediss://127.0.0.1:%d?ca=%s", port, ours.file)
	cert, key := ours.leaf(t, "node", "127.0.0.1")
	root := session.NewRootSecret()
	url := address + "&cert=" + cert + "&key=" + key
	here, there := open(t, url, root, nil), open(t, url, root, nil)
	mission := session.NewID()
	heard, _ := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)

	wrongCert, wrongKey := theirs.leaf(t, "node", "127.0.0.1")
	for name, url := range map[string]string{
		"no certificate": address,
		"a stranger's":   address + "&cert=" + wrongCert + "&key=" + wrongKey,
	} {
		// The server says why and hangs up, and its word may get lost over that.
		bus, err := tryOpen(t, url)
		if err == nil {
			unavailable(t, name, bus.Check())
		} else if !strings.Contains(err.Error(), "TLS") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLSCluster(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	var port int
	redistest.StartCluster(t, 3, func() []string {
		port = redistest.FreePort(t)
		return append(ours.settings(t, port, "127.0.0.1"), "tls-auth-clients optional", "tls-cluster yes")
	})
	address := fmt.Sprintf("redis-cluster://127.0.0.1:%d?tls=true&ca=", port)
	root := session.NewRootSecret()
	here, there := open(t, address+ours.file, root, nil), open(t, address+ours.file, root, nil)
	mission := session.NewID()
	heard, _ := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)
	if _, err := tryOpen(t, address+theirs.file); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("a wrong authority: %v", err)
	}
}
