package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Validate returns nil when every setting obeys its rule, otherwise one error that names each setting that does not
// and the rule it breaks. Values that may hold a password are not quoted.
func (c Config) Validate() error {
	var errs []error
	for _, f := range fields {
		if f.check == nil {
			continue
		}
		if err := f.check(*f.at(&c)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	if _, port, _ := net.SplitHostPort(c.Listen); c.Listen == c.OpsListen && port != "0" {
		errs = append(errs, errors.New("ops-listen: must differ from listen: it serves what the public must not see"))
	}
	if sameDatabase(c.Store, c.Keys) {
		errs = append(errs, errors.New("keys: must be another database than the store's: "+
			"a backup of one must not open the other"))
	}
	return errors.Join(errs...)
}

func checkNotEmpty(value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	return nil
}

var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

func checkListen(value string) error {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" && !hostname.MatchString(host) {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("must be host:port with a port from 0 to 65535, such as 127.0.0.1:8080, not %q", value)
	}
	return nil
}

// CheckOrigin returns nil for the empty text and for an origin, letter for letter as browsers send it, because that is
// what upgrades are compared with. Otherwise it names the rule that value breaks.
func CheckOrigin(value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("must be an http or https origin, such as https://ronde.example")
	}
	if strings.IndexFunc(u.Host, func(r rune) bool { return r > 0x7e }) >= 0 {
		return errors.New("must write an international host name in its xn-- form")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	origin := u.Scheme + "://" + strings.TrimSuffix(host, ":")
	if value != origin {
		return fmt.Errorf("must be an origin as browsers send it, without a path: write %s", origin)
	}
	return nil
}

func checkProxies(value string) error {
	_, err := parseProxies(value)
	return err
}

// parseProxies reads a list of addresses and prefixes. An empty list trusts
// nobody.
func parseProxies(value string) ([]netip.Prefix, error) {
	if value == "" {
		return nil, nil
	}
	var prefixes []netip.Prefix
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		prefix, err := netip.ParsePrefix(part)
		if addr, addrErr := netip.ParseAddr(part); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("must be addresses or prefixes with commas between, such as 10.0.0.5,192.168.7.0/24, not %q", part)
		case prefix.Bits() == 0:
			return nil, fmt.Errorf("must not trust everybody, as %s does: anyone could pose as any address", part)
		case prefix.Addr().Is4In6():
			return nil, fmt.Errorf("must write IPv4 addresses as such, not %q", part)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("must not set bits beyond the prefix: write %s, not %s", prefix.Masked(), part)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

func checkStore(value string) error {
	switch scheme, rest := Split(value); scheme {
	case "sqlite":
		return checkPath(rest)
	case "postgres", "postgresql":
		return checkConnection(value)
	}
	return errors.New("must be sqlite:, sqlite:PATH or postgres://…")
}

func checkBus(value string) error {
	if value == "mem:" {
		return nil
	}
	switch scheme, _ := Split(value); scheme {
	case "redis", "rediss", "redis-cluster":
		return checkRedis(value)
	}
	return errors.New("must be mem:, redis://…, rediss://… or redis-cluster://host,host")
}

func checkKeys(value string) error {
	switch scheme, rest := Split(value); scheme {
	case "file":
		return checkPath(rest)
	case "postgres", "postgresql":
		return checkConnection(value)
	}
	return errors.New("must be file:, file:PATH or postgres://…")
}

// checkPath refuses what was meant as a URL: its host would silently become a folder.
func checkPath(path string) error {
	if strings.HasPrefix(path, "//") {
		return errors.New("must name a path right after the colon, without //")
	}
	return nil
}

// checkLine accepts what a person reads on one line.
func checkLine(value string) error {
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > 200 ||
		strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return errors.New("must be one line of at most 200 characters, without control or formatting characters")
	}
	return nil
}

func checkLogLevel(value string) error {
	switch value {
	case "debug", "info", "warn", "error":
		return nil
	}
	return fmt.Errorf("must be debug, info, warn or error, not %q", value)
}
