package web

import (
	_ "embed" // of the page below
	"net/http"
)

// placeholder stands where the pages will be: they are built apart from this binary,
// and it works without them.
//
//go:embed page.html
var placeholder []byte

func (s *Server) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(placeholder) // who is gone cannot be told
}
