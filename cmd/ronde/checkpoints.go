package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ronde/configs"
	"ronde/session"
)

const (
	checkpointPrefix = "checkpoints-"
	checkpointSuffix = ".txt"
	// checkpointDays is how long the last checkpoint of a day is kept: somewhat longer than any row that it vouches for.
	checkpointDays = 400
)

// checkpointFolder keeps signed checkpoints of the access log outside the database: a file a day, of past days the last
// one alone. Several nodes may share the folder.
type checkpointFolder struct{ dir string }

// openCheckpoints returns the folder that the configuration names, and makes the default one. Another one must be there.
func openCheckpoints(c configs.Config) (checkpointFolder, error) {
	dir := c.Checkpoints
	var err error
	if dir == c.DefaultCheckpoints() {
		err = os.MkdirAll(dir, 0o700)
	} else {
		_, err = os.Stat(dir)
	}
	if err == nil {
		err = checkFolder(dir)
	}
	if err != nil {
		return checkpointFolder{}, fmt.Errorf("--checkpoints: %w; %s", err, checkpointsAdvice(dir))
	}
	return checkpointFolder{dir}, nil
}

// checkpointsAdvice says what to do about a folder of checkpoints that cannot be used.
func checkpointsAdvice(dir string) string {
	return fmt.Sprintf("uid %d must be able to write to the folder %s: mount or make it (mkdir -m 700), chown it, or name another with --checkpoints", os.Geteuid(), dir)
}

// append adds a checkpoint that was signed at that time, durably.
func (f checkpointFolder) append(signed string, at time.Time) error {
	name := filepath.Join(f.dir, checkpointPrefix+at.UTC().Format(time.DateOnly)+checkpointSuffix)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	// At once: another node's comes before it or after it. On a line of its own, even after one that was cut short.
	_, err = file.WriteString("\n" + signed)
	return errors.Join(err, file.Sync(), file.Close())
}

// tidy leaves of every day before yesterday the last checkpoint alone, and removes what is too old to say anything.
func (f checkpointFolder) tidy(now time.Time) error {
	names, err := filepath.Glob(filepath.Join(f.dir, checkpointPrefix+"*"+checkpointSuffix))
	if err != nil {
		return err
	}
	for _, name := range names {
		day, parseErr := time.Parse(checkpointPrefix+time.DateOnly+checkpointSuffix, filepath.Base(name))
		switch age := now.Sub(day); {
		case parseErr != nil:
		case age > checkpointDays*24*time.Hour:
			err = errors.Join(err, os.Remove(name))
		case age > 2*24*time.Hour:
			err = errors.Join(err, keepLast(name))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another node was faster
	}
	return err
}

// keepLast leaves the last checkpoint of a file to which nobody writes any more.
func keepLast(name string) error {
	all, err := readCheckpointFile(name)
	if err != nil || len(all) < 2 {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(name), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = temp.WriteString(all[len(all)-1].Text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(temp.Name()))
	}
	return err
}

// readCheckpoints returns what a file of checkpoints, or a folder of such files, holds.
func readCheckpoints(path string) (all []session.NamedCheckpoint, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readCheckpointFile(path)
	}
	names, err := filepath.Glob(filepath.Join(path, "*"+checkpointSuffix))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		found, err := readCheckpointFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func readCheckpointFile(name string) (all []session.NamedCheckpoint, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for n, checkpoint := range session.SplitCheckpoints(string(text)) {
		all = append(all, session.NamedCheckpoint{Name: fmt.Sprintf("%s (number %d)", filepath.Base(name), n+1), Text: checkpoint})
	}
	return all, nil
}

// newestOf returns the largest size that a genuine checkpoint of the folder vouches for.
func (f checkpointFolder) newestOf(v *session.AccessVerifier) (size int64, err error) {
	all, err := readCheckpoints(f.dir)
	for _, named := range all {
		if c, err := v.Open(named.Text); err == nil {
			size = max(size, c.Size)
		}
	}
	return size, err
}
