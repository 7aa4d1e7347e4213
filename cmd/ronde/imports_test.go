package main

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the prefix of our own import paths.
const module = "ronde/"

// goPackage is what the rules need to know of a package, by the names of go/build.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of test files in the package
	XTestImports []string // of test files in its _test package
}

// layer says what the packages below one folder may import of ours. The longest matching folder decides.
//
// A name stands for that very package, a name ending in /... for it and everything below it, and self for the folder
// itself, which a * in it makes a different one for each adapter. Test files are freer: they may reach across, except
// between tracker and web.
type layer struct {
	folder string
	ours   []string
}

var layers = []layer{
	{"geo", nil},
	{"configs", nil},
	{"session", []string{"geo"}},
	{"session/*", []string{"geo", "session", "self/..."}},
	{"tracker", []string{"geo", "session", "tracker/..."}},
	{"web", []string{"geo", "session", "web/..."}},
	{"cmd/ronde", []string{"geo/...", "configs", "session/...", "tracker/...", "web/..."}},
}

// drivers lists the libraries that stand behind one door each: the folders whose packages may import them.
var drivers = map[string][]string{
	"github.com/uber/h3-go":       {"geo"},
	"github.com/jackc/pgx":        {"session/postgres", "session/keyring"},
	"github.com/mattn/go-sqlite3": {"session/sqlite"},
	"modernc.org/sqlite":          {"session/sqlite"},
	"github.com/redis/go-redis":   {"tracker/redisbus"},
	"github.com/coder/websocket":  {"tracker", "cmd/ronde"},
}

func TestImportRule(t *testing.T) {
	for _, v := range violations(listPackages(t)) {
		t.Error(v)
	}
}

// listPackages reads the imports of all packages of the module from their sources. It does so in this process, without
// the go command, because the test cache then knows which files the outcome hangs on.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	const root = "../.."
	var pkgs []goPackage
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); dir != root && (name[0] == '.' || name[0] == '_' || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		p, err := build.ImportDir(dir, 0)
		if errors.As(err, new(*build.NoGoError)) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, dir)
		pkgs = append(pkgs, goPackage{module + filepath.ToSlash(rel), p.Imports, p.TestImports, p.XTestImports})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

// violations returns a line for every import that breaks the rule.
func violations(pkgs []goPackage) []string {
	var found []string
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if why := refusal(name, imported); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", name, imported, why))
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if apart(name, strings.TrimPrefix(imported, module)) {
				found = append(found, fmt.Sprintf("a test of %s imports %s: tracker and web do not know each other", name, imported))
			}
		}
	}
	return found
}

// refusal returns why the package called name may not import another one, or nothing if it may.
func refusal(name, imported string) string {
	other, ours := strings.CutPrefix(imported, module)
	if !ours {
		for driver, folders := range drivers {
			if below(imported, driver) && !slices.ContainsFunc(folders, func(f string) bool { return below(name, f) }) {
				return "only " + strings.Join(folders, " and ") + " may"
			}
		}
		return ""
	}
	if isTestSupport(other) && !isTestSupport(name) {
		return "it is there for tests"
	}
	folder, allowed, ok := layerOf(name)
	if !ok {
		return "this folder has no place in the rule"
	}
	for _, a := range allowed {
		a = strings.Replace(a, "self", folder, 1)
		if tree, all := strings.CutSuffix(a, "/..."); other == a || all && below(other, tree) {
			return ""
		}
	}
	if len(allowed) == 0 {
		return folder + " may import nothing of ours"
	}
	return folder + " may import only " + strings.Join(allowed, ", ")
}

// layerOf finds the longest folder of the rule that holds the package, and what its packages may import.
func layerOf(name string) (folder string, allowed []string, ok bool) {
	for _, l := range layers {
		candidate := l.folder
		if parent, adapters := strings.CutSuffix(candidate, "/*"); adapters {
			rest, inside := strings.CutPrefix(name, parent+"/")
			if !inside {
				continue
			}
			first, _, _ := strings.Cut(rest, "/")
			candidate = parent + "/" + first
		}
		if below(name, candidate) && len(candidate) > len(folder) {
			folder, allowed, ok = candidate, l.ours, true
		}
	}
	return folder, allowed, ok
}

// below tells whether an import path is the root itself or lies in its tree, as github.com/jackc/pgx/v5/pgxpool lies
// in that of github.com/jackc/pgx.
func below(name, root string) bool {
	return name == root || strings.HasPrefix(name, root+"/")
}

// isTestSupport recognises conformance suites and test servers by their name: storetest, bustest, pgtest.
func isTestSupport(name string) bool {
	return strings.HasSuffix(path.Base(name), "test")
}

// apart tells whether two packages lie on the two sides that only cmd/ronde may bring together.
func apart(a, b string) bool {
	return below(a, "tracker") && below(b, "web") || below(a, "web") && below(b, "tracker")
}

// The guard is itself guarded: what breaks the rule is found, what the design needs is not.
func TestImportRuleFindsViolations(t *testing.T) {
	tests := []struct {
		importer, imported string
		ok                 bool
	}{
		{"geo", "math", true},
		{"geo", "github.com/uber/h3-go/v4", true},
		{"geo", "ronde/session", false},
		{"geo", "ronde/configs", false},
		{"configs", "ronde/geo", false},
		{"session", "ronde/geo", true},
		{"session", "github.com/uber/h3-go/v4", false},
		{"session", "ronde/session/postgres", false},
		{"session", "ronde/tracker", false},
		{"session", "github.com/jackc/pgx/v5", false},
		{"session/postgres", "github.com/jackc/pgx/v5/pgxpool", true},
		{"session/postgres", "ronde/session", true},
		{"session/postgres", "ronde/session/postgres/internal/rows", true},
		{"session/postgres", "ronde/session/sqlite", false},
		{"session/postgres", "ronde/session/storetest", false},
		{"session/postgres", "ronde/tracker", false},
		{"session/postgres/pgtest", "github.com/jackc/pgx/v5", true},
		{"session/keyring", "github.com/jackc/pgx/v5", true},
		{"session/keyring", "ronde/session/postgres", false},
		{"session/sqlite", "github.com/mattn/go-sqlite3", true},
		{"session/sqlite", "github.com/jackc/pgx/v5", false},
		{"session/storetest", "ronde/session", true},
		{"session/storetest", "pgregory.net/rapid", true},
		{"tracker", "ronde/session", true},
		{"tracker", "ronde/tracker/redisbus", true},
		{"tracker", "ronde/session/postgres", false},
		{"tracker", "ronde/web", false},
		{"tracker", "github.com/coder/websocket", true},
		{"tracker", "github.com/redis/go-redis/v9", false},
		{"tracker/redisbus", "ronde/tracker", true},
		{"tracker/redisbus", "github.com/redis/go-redis/v9", true},
		{"tracker/redisbus", "ronde/tracker/bustest", false},
		{"trackers", "ronde/geo", false},
		{"web", "ronde/session", true},
		{"web", "ronde/web/ui", true},
		{"web", "ronde/tracker", false},
		{"web", "ronde/tracker/redisbus", false},
		{"web", "ronde/configs", false},
		{"web", "github.com/coder/websocket", false},
		{"cmd/ronde", "ronde/tracker", true},
		{"cmd/ronde", "ronde/session/sqlite", true},
		{"cmd/ronde", "ronde/configs", true},
		{"cmd/ronde", "github.com/coder/websocket", true},
		{"cmd/ronde", "github.com/jackc/pgx/v5", false},
		{"cmd/ronde", "ronde/session/postgres/pgtest", false},
		{"elsewhere", "ronde/geo", false},
	}
	for _, tt := range tests {
		found := violations([]goPackage{{ImportPath: module + tt.importer, Imports: []string{"context", tt.imported}}})
		if ok := len(found) == 0; ok != tt.ok {
			t.Errorf("%s importing %s: allowed is %v, want %v", tt.importer, tt.imported, ok, tt.ok)
		}
	}
	inTests := []struct {
		importer, imported string
		ok                 bool
	}{
		{"session/postgres", "ronde/session/storetest", true},
		{"session/postgres", "ronde/session/postgres/pgtest", true},
		{"tracker", "ronde/session/sqlite", true},
		{"web", "github.com/coder/websocket", true},
		{"web", "ronde/tracker", false},
		{"web/ui", "ronde/tracker/redisbus", false},
		{"tracker/redisbus", "ronde/web", false},
		{"cmd/ronde", "ronde/web", true},
	}
	for _, tt := range inTests {
		for _, p := range []goPackage{{TestImports: []string{tt.imported}}, {XTestImports: []string{tt.imported}}} {
			p.ImportPath = module + tt.importer
			if ok := len(violations([]goPackage{p})) == 0; ok != tt.ok {
				t.Errorf("a test of %s importing %s: allowed is %v, want %v", tt.importer, tt.imported, ok, tt.ok)
			}
		}
	}
}

// An empty listing would satisfy every rule.
func TestImportRuleSeesThePackages(t *testing.T) {
	pkgs := listPackages(t)
	for _, want := range []string{"ronde/cmd/ronde", "ronde/configs"} {
		i := slices.IndexFunc(pkgs, func(p goPackage) bool { return p.ImportPath == want })
		if i < 0 || len(pkgs[i].Imports) == 0 || len(pkgs[i].TestImports) == 0 {
			t.Errorf("no imports were found in %s", want)
		}
	}
}
