package web

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of one connection. A phone on a bad network sends its headers within
// seconds; what does not is cut.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second // headers and body
	writeTimeout      = 60 * time.Second // of a whole answer; sockets and streams lift it
	idleTimeout       = 90 * time.Second // between requests; above that of common proxies
	maxHeaderBytes    = 16 << 10         // the longest credential four times over
)

// NewHTTPServer returns a server for the handler of either listener, with the
// bounds that keep a slow or hostile peer cheap. What net/http has to say goes
// to log. The caller serves and shuts it down.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
