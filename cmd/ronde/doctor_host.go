package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ronde/configs"
	"ronde/session"
)

const (
	// socketsWanted is how many sockets a node is expected to hold, and
	// filesBeside what it opens beside them: databases, log, listeners.
	socketsWanted = 10_000
	filesBeside   = 500

	mebibyte = 1 << 20
	freeWarn = 1024 * mebibyte
	freeFail = 64 * mebibyte
)

// checkData looks at the folder of the embedded default, if anything is kept
// there.
func (d *doctor) checkData(context.Context) finding {
	if !d.keepsInData() {
		return finding{}
	}
	dir := d.config.Data
	if err := checkFolder(dir); err != nil {
		return broken("data", folderAdvice(d.config, dir), "%v", err)
	}
	existing, err := nearestFolder(dir)
	var disk syscall.Statfs_t
	if err == nil {
		err = syscall.Statfs(existing, &disk)
	}
	if err != nil {
		return broken("data", folderAdvice(d.config, dir), "%v", err)
	}
	return judgeSpace(dir, disk.Bavail*uint64(disk.Bsize))
}

// keepsInData tells whether database, keyring, root secret or checkpoints lie in
// the data folder.
func (d *doctor) keepsInData() bool {
	paths := []string{d.config.RootSecretFile, d.config.Checkpoints}
	for _, setting := range []string{d.config.Store, d.config.Keys} {
		if scheme, path := configs.Split(setting); scheme == "sqlite" || scheme == "file" {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		if rel, err := filepath.Rel(d.config.Data, path); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// checkCheckpoints looks at the folder of checkpoints as a node does, but makes
// none.
func (d *doctor) checkCheckpoints(context.Context) finding {
	dir := d.config.Checkpoints
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && dir == d.config.DefaultCheckpoints() {
		return healthy("checkpoints", "%s will be made at the first start", dir)
	}
	if err == nil {
		err = checkFolder(dir)
	}
	if err != nil {
		return broken("checkpoints", checkpointsAdvice(dir), "%v", err)
	}
	return healthy("checkpoints", "%s can be written to", dir)
}

func judgeSpace(dir string, free uint64) finding {
	const advice = "make room, or move it with --data: a node whose disk is full acknowledges nothing"
	found := fmt.Sprintf("%s can be written to, and has %d MiB free", dir, free/mebibyte)
	switch {
	case free < freeFail:
		return broken("data", advice, "%s", found)
	case free < freeWarn:
		return doubtful("data", advice, "%s", found)
	}
	return healthy("data", "%s", found)
}

// checkSecret reads the root secret as a node does, but makes none.
func (d *doctor) checkSecret(context.Context) finding {
	path := d.config.RootSecretFile
	root, err := session.LoadRootSecret(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.config.Embedded():
		return healthy("root secret", "%s will be made at the first start", path)
	case errors.Is(err, fs.ErrNotExist):
		return broken("root secret", "make one with: (umask 077; openssl rand -hex 32 > FILE), the same file on every node, and name it with --root-secret-file", "%v", err)
	case err != nil:
		return broken("root secret", "the file must hold 64 hexadecimal digits that nobody but the node's user can read", "%v", err)
	}
	d.root = root
	return healthy("root secret", "%s is random, and private", path)
}

// checkFiles compares the limit of open files, the running node's if there is
// one, with what many sockets need. Go raises a process's own limit to the hard
// one, so that what is seen here is what a node would get.
func (d *doctor) checkFiles(context.Context) finding {
	whose, limit := "this process", d.fds
	if limit > 0 {
		whose = "the running node"
	} else {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return broken("files", "", "%v", err)
		}
		limit = l.Cur
	}
	if limit < socketsWanted+filesBeside {
		return doubtful("files", "raise it: LimitNOFILE=65536 in the unit, `ulimits` in the compose file, or `ulimit -Hn` in the shell",
			"%s may have %d files open: enough for %d sockets, not for %d", whose, limit, max(0, int64(limit)-filesBeside), socketsWanted)
	}
	return healthy("files", "%s may have %d files open: enough for %d sockets", whose, limit, socketsWanted)
}

func (d *doctor) checkListen(ctx context.Context) finding {
	f, ronde := d.checkPort(ctx, "listen", d.config.Listen, "/v1/openapi.json", `"title":"Ronde"`)
	d.running = ronde
	if ronde && d.unmade != "" {
		return broken("listen", "give the doctor what that node has: the same flags, environment and --config, and the same user",
			"a Ronde serves at %s, and not with these settings: there is no %s", d.config.Listen, d.unmade)
	}
	return f
}

func (d *doctor) checkOpsListen(ctx context.Context) finding {
	f, ronde := d.checkPort(ctx, "ops-listen", d.config.OpsListen, "/healthz", `"status":"up"`)
	if !ronde {
		return f
	}
	d.fds = d.runningLimit(ctx)
	if reasons := d.unready(ctx); len(reasons) > 0 {
		return broken("ops-listen", "see the node's log", "the node at %s is not ready: %s", d.config.OpsListen, strings.Join(reasons, ", "))
	}
	return f
}

// checkPort tells whether an address is free or a Ronde's already: one whose
// answer at path says so.
func (d *doctor) checkPort(ctx context.Context, flag, address, path, says string) (f finding, ronde bool) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		_ = l.Close() // nobody has connected
		return healthy(flag, "%s is free", address), false
	}
	if body, getErr := d.get(ctx, configs.Origin(address)+path); getErr == nil && strings.Contains(body, says) {
		return healthy(flag, "a Ronde serves at %s", address), true
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return broken(flag, listenAdvice(flag, address, err), "%s is taken, and not by a Ronde", address), false
	}
	return broken(flag, listenAdvice(flag, address, err), "%v", err), false
}
