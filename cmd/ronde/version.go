package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is stamped by the linker: -ldflags "-X main.version=…".
var version = "dev"

// buildInfo says what this binary was made from.
type buildInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"` // commit, if the build could see one
	Time     string `json:"time,omitempty"`     // of that commit
	Modified bool   `json:"modified,omitempty"` // whether the tree differed from it
}

func currentBuild() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the line that ronde version prints.
func (b buildInfo) String() string {
	line := fmt.Sprintf("ronde %s %s %s", b.Version, b.Go, b.Platform)
	if b.Revision != "" {
		line += " " + b.Revision
	}
	if b.Modified {
		line += " modified"
	}
	return line
}

// versionCmd prints the version. It reads no configuration, so it works where nothing else does.
type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde version --help.
func (versionCmd) Help() string {
	return `Says what this binary was made from: the version, the Go that built it, the platform and, where the build could see
them, the commit and whether the sources differed from it. It reads no settings.

Examples:

    ronde version
    ronde version --json`
}

// Run prints the version.
func (cmd versionCmd) Run(s streams) error {
	if cmd.JSON {
		return s.printJSON(currentBuild())
	}
	_, err := fmt.Fprintln(s.out, currentBuild())
	return err
}
