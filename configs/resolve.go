package configs

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// Resolve returns c with every value filled in that follows from another one:
//
//   - an empty public-url becomes the origin of listen (see [Origin]); if listen leaves the port to the system, it
//     stays empty until the listener is bound
//   - a store of sqlite: becomes sqlite:DATA/ronde.db
//   - keys of file: become file:DATA/keys
//   - an empty root-secret-file becomes DATA/root.secret
//   - an empty checkpoints becomes DATA/checkpoints
//
// Resolving twice changes nothing more.
func (c Config) Resolve() Config {
	if c.PublicURL == "" {
		if _, port, _ := net.SplitHostPort(c.Listen); port != "0" {
			c.PublicURL = Origin(c.Listen)
		}
	}
	if c.Store == "sqlite:" {
		c.Store += filepath.Join(c.Data, "ronde.db")
	}
	if c.Keys == "file:" {
		c.Keys += filepath.Join(c.Data, "keys")
	}
	if c.RootSecretFile == "" {
		c.RootSecretFile = filepath.Join(c.Data, "root.secret")
	}
	if c.Checkpoints == "" {
		c.Checkpoints = c.DefaultCheckpoints()
	}
	return c
}

// Proxies returns the trusted proxies as prefixes: a single address is a prefix
// of its whole length.
func (c Config) Proxies() []netip.Prefix {
	prefixes, err := parseProxies(c.TrustedProxies)
	if err != nil {
		return nil // Validate has refused it: believe nobody
	}
	return prefixes
}

// Embedded tells whether the store is the embedded one. Only then may a server make its own root secret: nodes that
// share a PostgreSQL store must share the secret too, and one made on the spot would be known to no other.
func (c Config) Embedded() bool {
	scheme, _ := Split(c.Store)
	return scheme == "sqlite"
}

// DefaultCheckpoints returns the folder of checkpoints that a node makes by itself. Another one must be there: what is
// missing may be a disk that was not mounted.
func (c Config) DefaultCheckpoints() string { return filepath.Join(c.Data, "checkpoints") }

// KeysInDatabase tells whether the keyring is in PostgreSQL, and not in a folder.
func (c Config) KeysInDatabase() bool {
	scheme, _ := Split(c.Keys)
	return scheme != "file"
}

// Split cuts a store, bus or keys setting at its first colon: "sqlite:a/b" is "sqlite" and "a/b". Without a colon
// there is no scheme.
func Split(value string) (scheme, rest string) {
	scheme, rest, ok := strings.Cut(value, ":")
	if !ok {
		return "", value
	}
	return scheme, rest
}

// Origin returns the http origin under which a browser on the same machine reaches a listener at address (host:port).
// An address that stands for all interfaces is reached as localhost, and the default port is left out, as browsers do.
func Origin(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	host = strings.ToLower(host)
	if port != "80" {
		return "http://" + net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "http://[" + host + "]"
	}
	return "http://" + host
}
