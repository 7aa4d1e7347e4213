package redisbus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for _, c := range []struct {
		url, user, password string
		cluster, tls        bool
		addrs               []string
	}{
		{"redis://h", "", "", false, false, []string{"h:6379"}},
		{"redis://h:1/0", "", "", false, false, []string{"h:1"}},
		{"redis://h:1/", "", "", false, false, []string{"h:1"}},
		{"redis://:secret@[::1]", "", "secret", false, false, []string{"[::1]:6379"}},
		{"rediss://ron%40de:s%3Ae%2Fc%40@h", "ron@de", "s:e/c@", false, true, []string{"h:6379"}},
		{"redis://u:a:b@h", "u", "a:b", false, false, []string{"h:6379"}},
		{"redis-cluster://u:p@a,b:2,[::1]:3", "u", "p", true, false, []string{"a:6379", "b:2", "[::1]:3"}},
		{"redis-cluster://a?tls=true", "", "", true, true, []string{"a:6379"}},
		{"redis-cluster://a?tls=false", "", "", true, false, []string{"a:6379"}},
	} {
		got, err := parseURL(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if got.user != c.user || got.password != c.password || got.cluster != c.cluster || (got.tls != nil) != c.tls || !slices.Equal(got.addrs, c.addrs) {
			t.Errorf("%s: %+v", c.url, got)
		}
		if got.tls != nil && got.tls.InsecureSkipVerify {
			t.Errorf("%s: verifies nothing", c.url)
		}
	}
}

func TestURLRefuses(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{
		"", "redis:", "redis:h", "http://h", "REDIS://h", "redis://", "redis://:0x", "redis://u:s3cret@", "redis://u@h", "redis://u:@h",
		"redis://u:s3cret@h/1", "redis://h/0/0", "redis://h/x", "redis://h:s3cret", "redis://h h", "redis://u:%zz@h", "redis://h,i", "rediss://h,i",
		"redis-cluster://h,", "redis-cluster://,h", "redis://u:s3cret@h?x=1", "redis://h?%zz", "redis://h?tls=true", "redis://h?ca=f",
		"redis-cluster://h?tls=1", "redis-cluster://h?tls=false&ca=f", "redis-cluster://h?ca=f", "rediss://h?ca=f&ca=g",
		"rediss://h?ca=/does/not/exist", "rediss://h?ca=" + junk, "rediss://h?cert=" + junk, "rediss://h?cert=" + junk + "&key=" + junk,
		"rediss://h?skip_verify=true", "rediss://u:s3cret@h@i",
	} {
		got, err := parseURL(url)
		if err == nil {
			t.Errorf("%q is taken for %+v", url, got)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error tells the password: %v", url, err)
		}
	}
}
