package main

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ronde/configs"
	"ronde/session"
)

// TestCommandsLeaveTheirRow runs every command of the command line on an installation that has something to list,
// sweep, revoke and erase: whoever changes the store or the keyring leaves a row in the access log, and so does whoever
// reads it out. A new command fails here until it says which row.
func TestCommandsLeaveTheirRow(t *testing.T) {
	const onNode = "-" // a node's own doing, or done through one: its routes and sockets record it
	type entry struct {
		args string               // what follows the command; KEY is the id of a key of acme's
		row  session.AccessAction // "": none, and nothing may change
	}
	commands := map[string]entry{
		"serve": {row: onNode}, "demo": {row: onNode}, "simulate": {row: onNode},
		"migrate": {}, "doctor": {args: "--wait 1s --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0"}, "config": {},
		"completion": {args: "bash"}, "version": {},
		"apikey create":   {"--tenant other --role platform", session.AccessKeyCreate},
		"apikey list":     {args: "--tenant acme"},
		"apikey revoke":   {"--tenant acme KEY", session.AccessKeyRevoke},
		"keys rotate":     {row: session.AccessKeysRotate},
		"tenant list":     {},
		"tenant close":    {"acme --confirm acme", session.AccessTenantClose},
		"retention check": {}, "retention sweep": {row: session.AccessRetentionSweep},
		"retention term": {"--tenant acme --months 6", session.AccessRetentionTerm},
		"audit verify":   {}, "audit key": {}, "audit export": {row: session.AccessLogExport},
	}
	parser, err := kong.New(new(cli))
	check(t, err)
	for _, node := range parser.Model.Leaves(false) {
		name := strings.TrimPrefix(node.FullPath(), parser.Model.Name+" ")
		c, known := commands[name]
		if !known {
			t.Errorf("%s does not say which row it leaves in the access log", name)
		}
		if !known || c.row == onNode {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := daysAgo(t, 400)
			p.mission(30)
			key, _, err := createKey(t.Context(), p.service.Store, "acme", session.Auditor, "")
			check(t, err)
			before, last := p.contents(), p.rows("SELECT coalesce(max(id), '') FROM access_log")[0]
			args := slices.Concat(strings.Fields(name), strings.Fields(strings.ReplaceAll(c.args, "KEY", key.ID.String())), []string{"--data", p.config.Data})
			o := ronde(t, args...)
			if c.row != "" && o.code != exitOK {
				t.Fatalf("%q: %s", args, o.errors)
			}
			left := p.logged(last) // a sweep removes older ones
			if changed := !slices.Equal(before, p.contents()); changed && len(left) == 0 {
				t.Error("it changes what is stored, and leaves no row")
			} else if c.row == "" && len(left) > 0 || c.row != "" && !slices.Contains(left, c.row) {
				t.Errorf("it leaves %v, want %q", left, c.row)
			} else if c.row != "" && c.row != session.AccessLogExport && !changed {
				t.Error("it changed nothing: the test proves nothing")
			}
		})
	}
}

// logged returns the actions in the access log behind the row of that id, in their order.
func (p *past) logged(after string) (actions []session.AccessAction) {
	p.t.Helper()
	for _, row := range p.rows("SELECT action FROM access_log WHERE id > '" + after + "' ORDER BY id") {
		actions = append(actions, session.AccessAction(row))
	}
	return actions
}

// contents returns everything that is stored, but for the access log, and the names of what the keyring holds.
func (p *past) contents() (all []string) {
	p.t.Helper()
	for _, table := range p.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'access_%' ORDER BY name") {
		var columns []string
		for _, column := range p.rows("SELECT name FROM pragma_table_info('" + table + "')") {
			columns = append(columns, "quote("+column+")")
		}
		for _, row := range p.rows("SELECT " + strings.Join(columns, "||','||") + " FROM " + table + " ORDER BY 1") {
			all = append(all, table+" "+row)
		}
	}
	_, keys := configs.Split(p.config.Keys)
	check(p.t, fs.WalkDir(os.DirFS(filepath.Dir(keys)), filepath.Base(keys), func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	return all
}

// rows returns what SQL selects, a text a row.
func (p *past) rows(query string) (all []string) {
	p.t.Helper()
	db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s?mode=ro", p.file()))
	check(p.t, err)
	defer db.Close()
	rows, err := db.QueryContext(p.t.Context(), query)
	check(p.t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		check(p.t, rows.Scan(&text))
		all = append(all, text)
	}
	check(p.t, rows.Err())
	return all
}
