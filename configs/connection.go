package configs

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// connection is the URL of a database or a bus, cut into its parts by hand: net/url refuses the lists of hosts that
// PostgreSQL and Redis Cluster URLs may carry, and its errors quote the URL, password included.
type connection struct {
	scheme      string
	user        string
	password    string
	hasPassword bool
	hosts       []string // each host or host:port; a single empty one leaves the choice to the driver
	path        string   // with its leading slash, or empty
	query       string
}

var (
	errConnection = errors.New("must be a valid URL: scheme://user:password@host:port/name")
	errEscape     = errors.New("must escape @ / ? # inside the user, the password and what follows the host as %40 %2F %3F %23")
	errNoHost     = errors.New("must name a host")
	errOneHost    = errors.New("must name one host; for the nodes of a cluster write redis-cluster://")
	errDatabase   = errors.New("must name no database but 0: publish/subscribe knows none")
)

// parseConnection cuts up a connection URL. Its errors quote nothing. An @ that stands anywhere but before the hosts
// is refused: it is most often the tail of a password that nobody escaped, and would be shown as a path.
func parseConnection(value string) (connection, error) {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return connection{}, errConnection
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.Count(authority, "@") > 1 || strings.ContainsAny(tail, "@#") {
		return connection{}, errEscape
	}
	c := connection{scheme: scheme}
	c.path, c.query, _ = strings.Cut(tail, "?")
	hosts := authority
	if userinfo, after, ok := strings.Cut(authority, "@"); ok {
		hosts = after
		c.user, c.password, c.hasPassword = strings.Cut(userinfo, ":")
	}
	c.hosts = strings.Split(hosts, ",")
	return c, c.check()
}

func (c connection) check() error {
	for _, part := range []string{c.user, c.password, c.path} {
		if _, err := url.PathUnescape(part); err != nil {
			return errConnection
		}
	}
	if _, err := url.ParseQuery(c.query); err != nil {
		return errConnection
	}
	for _, host := range c.hosts {
		u, err := url.Parse("//" + host)
		if err != nil || u.Host != host || host == "" && len(c.hosts) > 1 {
			return errConnection
		}
	}
	return nil
}

// checkConnection is the rule of settings that hold a connection URL. Only PostgreSQL can do without a host: its URL
// may name a socket folder among its parameters.
func checkConnection(value string) error {
	c, err := parseConnection(value)
	if err != nil {
		return err
	}
	if c.hosts[0] == "" && !strings.HasPrefix(c.scheme, "postgres") {
		return errNoHost
	}
	return nil
}

// checkRedis is the rule of settings that hold the URL of a Redis. Its parameters name files, and are checked when these
// are read.
func checkRedis(value string) error {
	if err := checkConnection(value); err != nil {
		return err
	}
	c, err := parseConnection(value)
	switch {
	case err != nil:
		return err
	case len(c.hosts) > 1 && c.scheme != "redis-cluster":
		return errOneHost
	case strings.TrimPrefix(c.path, "/") != "" && c.path != "/0":
		return errDatabase
	}
	return nil
}

// hidden returns the URL with its passwords hidden, whether they stand before the host or among the parameters.
func (c connection) hidden() string {
	var b strings.Builder
	b.WriteString(c.scheme + "://" + c.user)
	if c.hasPassword {
		b.WriteString(":" + hiddenMark)
	}
	if c.hasPassword || c.user != "" {
		b.WriteString("@")
	}
	b.WriteString(strings.Join(c.hosts, ",") + c.path)
	if c.query == "" {
		return b.String()
	}
	parameters := strings.Split(c.query, "&")
	for i, p := range parameters {
		name, _, _ := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(name); err != nil || strings.Contains(strings.ToLower(plain), "password") {
			parameters[i] = name + "=" + hiddenMark
		}
	}
	b.WriteString("?" + strings.Join(parameters, "&"))
	return b.String()
}

// sameDatabase tells whether two settings name one PostgreSQL database by the same hosts and name.
func sameDatabase(a, b string) bool {
	ca, errA := parseConnection(a)
	cb, errB := parseConnection(b)
	if errA != nil || errB != nil {
		return false
	}
	if ca.hosts[0] == "" {
		return a == b
	}
	return slices.Equal(ca.hosts, cb.hosts) && ca.path == cb.path
}
