package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"ronde/session"
	"ronde/session/keyring"
)

// checkSalts looks for salts whose day, or whose hold, is over: with them the tracks of that day can still be read, from any backup.
// The day itself counts as time to sweep.
func (d *doctor) checkSalts(ctx context.Context) finding {
	if d.ring == nil {
		return finding{} // it was not opened, which was said
	}
	days, err := d.ring.SaltDays(ctx)
	if err != nil {
		return broken("salts", "every node sweeps by what this tells", "%v", err)
	}
	ends, err := d.ring.HoldSalts(ctx)
	if err != nil {
		return broken("salts", "every node sweeps by what this tells", "%v", err)
	}
	over := session.DaysBefore(days, session.DayOf(d.now()))
	// What is beyond a day was neither swept nor extended by one that stands.
	held := session.OverdueHoldSalts(ends, d.now().AddDate(0, 0, -1))
	switch {
	case len(held) > 0:
		return broken("salts", "run: ronde retention sweep; an old backup of the keyring may have been restored",
			"the keyring still holds the salts of %d holds that have ended: with them, their copies can be read, also from backups", len(held))
	case len(over) > 0:
		return broken("salts", "run: ronde retention sweep, which says for which holds it keeps them; an old backup of the keyring may have been restored",
			"the keyring still holds the salts of %s: with them, tracks that have expired can be read, also from backups", spellDays(over))
	}
	return healthy("salts", "the keyring holds no salt whose day is over, nor one of a hold that has ended")
}

// checkKeyBackups looks at the copies of the keyring in a folder. Of a copy of a folder it sees what it would bring back;
// of anything else, a dump or an archive, only how old it is.
func (d *doctor) checkKeyBackups(context.Context) finding {
	const check = "key backups"
	if d.backups == "" {
		return finding{}
	}
	today := session.DayOf(d.now())
	var reviving, old []string
	seen := 0
	err := filepath.WalkDir(d.backups, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			there, err := keyring.FolderExists(path)
			if err != nil || !there {
				return err
			}
			seen++
			days, err := keyring.FolderSaltDays(path)
			if over := session.DaysBefore(days, today); len(over) > 0 {
				reviving = append(reviving, fmt.Sprintf("%s (%s)", path, spellDays(over)))
			}
			if err != nil {
				return err
			}
			return fs.SkipDir
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		seen++
		if d.now().Sub(info.ModTime()) > session.KeyBackupDays*24*time.Hour {
			old = append(old, path)
		}
		return nil
	})
	advice := fmt.Sprintf("delete it: keep copies of the keyring for %d days at most", session.KeyBackupDays)
	switch {
	case err != nil:
		return broken(check, "run doctor as a user who may read the folder", "%v", err)
	case len(reviving) > 0:
		return broken(check, advice, "whoever restores this copy of the keyring can read tracks that have expired: %s", strings.Join(reviving, ", "))
	case len(old) > 0:
		return broken(check, advice, "older than %d days: %s", session.KeyBackupDays, strings.Join(old, ", "))
	}
	return healthy(check, "%d copies, none of which brings back what has expired, as far as can be seen", seen)
}

// spellDays names up to three days.
func spellDays(days []session.Day) string {
	var names []string
	for _, day := range days[:min(len(days), 3)] {
		names = append(names, day.String())
	}
	text := strings.Join(names, ", ")
	if more := len(days) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
