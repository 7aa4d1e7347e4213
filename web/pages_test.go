package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"strings"
	"testing"
)

var (
	scriptOfPage = regexp.MustCompile(`<script type="module"[^>]* src="(/assets/[^"]+)" nonce="([^"]+)"`)
	nonceOfCSP   = regexp.MustCompile(`'nonce-([^']+)'`)
)

// assets returns the paths of files of the build by the names of their routes,
// or nothing if the pages are not built.
func (w *world) assets() map[string]string {
	w.t.Helper()
	found := scriptOfPage.FindSubmatch(w.call("GET", "/live", "", "").want(200, "").body)
	if found == nil {
		return nil
	}
	return map[string]string{"asset": string(found[1]), "icon": "/favicon.svg"}
}

// P46: each answer has a nonce of its own, the scripts have it, and nothing but
// what belongs to the page may be loaded.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/live", "/docs"} {
		t.Run(path, func(t *testing.T) { testPage(t, w, path) })
	}
}

func testPage(t *testing.T, w *world, path string) {
	a := w.call("GET", path, "", "").want(200, "")
	if got := a.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("content type %s", got)
	}
	if w.assets() == nil {
		if !bytes.Contains(a.body, []byte("built without its pages")) {
			t.Errorf("a binary without its pages does not say so: %s", a.body)
		}
		return
	}
	policy := a.header.Get("Content-Security-Policy")
	nonce := string(scriptOfPage.FindSubmatch(a.body)[2])
	if got := nonceOfCSP.FindStringSubmatch(policy); got == nil || got[1] != nonce {
		t.Errorf("the policy's nonce %v is not the script's", got)
	}
	if again := w.call("GET", path, "", ""); bytes.Contains(again.body, []byte(nonce)) {
		t.Error("two answers share a nonce")
	}
	for _, rule := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, rule) {
			t.Errorf("the policy lacks %s", rule)
		}
	}
	for _, hole := range []string{"unsafe", "*", "http:", "https:"} {
		if strings.Contains(policy, hole) {
			t.Errorf("the policy has %s", hole)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the page may be kept")
	}
}

func TestAssets(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/assets/none.js", "", "").want(404, "not_found")
	files := w.assets()
	if files == nil {
		t.Skip("the pages are not built: make pages")
	}
	plain := w.call("GET", files["asset"], "", "", "Accept-Encoding", "identity").want(200, "")
	if got := plain.header.Get("Content-Type"); !strings.HasPrefix(got, "text/javascript") {
		t.Errorf("content type %s", got)
	}
	if got := plain.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("cache control %s", got)
	}
	zipped := w.call("GET", files["asset"], "", "", "Accept-Encoding", "gzip").want(200, "")
	r, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if unzipped, err := io.ReadAll(r); err != nil || !bytes.Equal(unzipped, plain.body) {
		t.Errorf("compressed it is another file: %v", err)
	}
	w.call("GET", files["asset"]+".gz", "", "").want(404, "not_found")
}
