package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// dist is the build of the pages in ui. Before it was made it holds nothing but
// a placeholder file, and the binary works all the same.
//
//go:embed all:dist
var dist embed.FS

// unbuilt stands where a page would be.
//
//go:embed unbuilt.html
var unbuilt []byte

//go:embed home.html
var home []byte

// socketMark stands for the origin of the sockets, which some browsers do not
// take for the page's own.
const socketMark = "__SOCKETS__"

// nonceMark is what the build leaves where the nonce of each answer belongs.
const nonceMark = "__NONCE__"

// pagePolicy is what a page may load: its own files and sockets, scripts and
// styles with the answer's nonce and what those load, and nothing of anybody
// else. The map's worker is a file of its own; Trusted Types let no string
// become code, but for that worker's address.
const pagePolicy = "default-src 'none'; script-src 'nonce-" + nonceMark + "' 'strict-dynamic'; style-src 'self'; " +
	"img-src 'self'; connect-src 'self' " + socketMark + "; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"

// built binds a document of the build.
func built(name string) binder {
	document, err := dist.ReadFile("dist/" + name)
	if err != nil {
		return plain(func(_ *Server, w http.ResponseWriter, _ *http.Request) { writePage(w, unbuilt) })
	}
	return plain(func(s *Server, w http.ResponseWriter, _ *http.Request) {
		nonce := rand.Text()
		sockets := "ws" + strings.TrimPrefix(s.publicURL, "http")
		w.Header().Set("Content-Security-Policy", strings.NewReplacer(nonceMark, nonce, socketMark, sockets).Replace(pagePolicy))
		writePage(w, bytes.ReplaceAll(document, []byte(nonceMark), []byte(nonce)))
	})
}

func (s *Server) serveHome(w http.ResponseWriter, _ *http.Request) { writePage(w, home) }

func writePage(w http.ResponseWriter, document []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(document) // who is gone cannot be told
}

// serveAsset serves a file of the build: compressed where the build laid a
// compressed one beside it, and for good, because its name changes with it.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := path.Join("dist", r.URL.Path)
	content, err := fs.ReadFile(dist, name)
	if err != nil || path.Ext(name) == ".gz" {
		s.fail(w, r, newProblem(codeNotFound, "there is no such file"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	if strings.HasPrefix(r.URL.Path, "/assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Add("Vary", "Accept-Encoding")
	if zipped, err := fs.ReadFile(dist, name+".gz"); err == nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		content = zipped
	}
	_, _ = w.Write(content) // who is gone cannot be told
}
