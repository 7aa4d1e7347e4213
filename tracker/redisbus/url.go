package redisbus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// target is what a URL names.
type target struct {
	addrs          []string // host:port; more than one only in a cluster
	cluster        bool
	user, password string
	tls            *tls.Config // nil: in clear
}

// errURL stands for every malformed URL: what net/url says quotes it, and with
// it the password.
var errURL = errors.New("must be redis://…, rediss://… or redis-cluster://host,host")

// parseURL reads a URL and the files that it names. Its errors quote no
// password.
func parseURL(text string) (*target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errURL
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if path != "" && path != "0" {
		return nil, errors.New("must name no database but 0: publish/subscribe knows none")
	}
	t := &target{cluster: scheme == "redis-cluster"}
	switch scheme {
	case "redis", "rediss", "redis-cluster":
	default:
		return nil, errURL
	}
	hosts := authority
	if userinfo, after, ok := strings.Cut(authority, "@"); ok {
		if err := t.setUser(userinfo); err != nil {
			return nil, err
		}
		hosts = after
	}
	if err := t.setHosts(hosts); err != nil {
		return nil, err
	}
	return t, t.setParameters(query, scheme == "rediss")
}

func (t *target) setUser(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	var errUser, errPassword error
	t.user, errUser = url.PathUnescape(user)
	t.password, errPassword = url.PathUnescape(password)
	switch {
	case errUser != nil || errPassword != nil:
		return errors.New("must escape % in the user and the password as %25")
	case t.user != "" && t.password == "":
		return errors.New("must give a password with the user")
	}
	return nil
}

func (t *target) setHosts(list string) error {
	for host := range strings.SplitSeq(list, ",") {
		u, err := url.Parse("//" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return errors.New("must name a host, or a host and a port")
		}
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		t.addrs = append(t.addrs, net.JoinHostPort(u.Hostname(), port))
	}
	if len(t.addrs) > 1 && !t.cluster {
		return errors.New("must name one host; for the nodes of a cluster write redis-cluster://")
	}
	return nil
}

// setParameters reads tls, ca, cert and key. secure says that the scheme asks
// for TLS already.
func (t *target) setParameters(query string, secure bool) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errURL
	}
	for name, list := range values {
		switch {
		case len(list) > 1:
			return fmt.Errorf("must give the parameter %q once", name)
		case name == "tls" && t.cluster && (list[0] == "true" || list[0] == "false"):
			secure = list[0] == "true"
		case name != "ca" && name != "cert" && name != "key":
			return fmt.Errorf("must have no parameter %q with that value: there are ca, cert, key, and tls=true for a cluster", name)
		}
	}
	if !secure {
		if len(values) > 0 && !values.Has("tls") || len(values) > 1 {
			return errors.New("must ask for TLS, with rediss:// or redis-cluster://…?tls=true, to use ca, cert or key")
		}
		return nil
	}
	t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	return t.readCertificates(values.Get("ca"), values.Get("cert"), values.Get("key"))
}

func (t *target) readCertificates(ca, cert, key string) error {
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		t.tls.RootCAs = x509.NewCertPool()
		if !t.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ca: %s must hold certificates in PEM", ca)
		}
	}
	if cert == "" && key == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("cert and key: %w", err)
	}
	t.tls.Certificates = []tls.Certificate{pair}
	return nil
}
