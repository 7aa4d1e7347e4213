package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// parseOrigin returns text if it is an origin as browsers send it: scheme and
// host in lower case, the port unless it is the scheme's own, and nothing else.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", errors.New("must be an http or https origin, such as https://ronde.example")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	if origin := u.Scheme + "://" + host; text != origin {
		return "", errors.New("must be an origin as browsers send it: " + origin)
	}
	return text, nil
}

// errOrigin refuses a page of another origin, before anything else is said.
var errOrigin = newProblem(codeOrigin, "pages of this origin may not connect here")

// checkOrigin compares the Origin header with the public origin, byte for byte:
// browsers write it in one way only, so whatever merely resembles it is not
// ours. Without the header it returns missing.
func (s *Server) checkOrigin(h http.Header, missing error) error {
	origins := h.Values("Origin")
	switch {
	case len(origins) == 0:
		return missing
	case len(origins) == 1 && origins[0] == s.publicURL:
		return nil
	}
	return errOrigin
}

// checkFetch is checkOrigin for a request that a page makes with fetch. Of its
// own origin a browser sends no Origin with a GET, but says so in
// Sec-Fetch-Site.
func (s *Server) checkFetch(h http.Header) error {
	sites := h.Values("Sec-Fetch-Site")
	if len(sites) > 1 || len(sites) == 1 && sites[0] != "same-origin" {
		return errOrigin
	}
	return s.checkOrigin(h, nil)
}
