package storetest

import (
	"slices"
	"testing"

	"ronde/session"
)

// Columns checks that session.ColumnClasses names every column that rows tell of
// ("table.column"), and that every class it gives is one of session.DataClasses.
func Columns(t *testing.T, rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}) {
	t.Helper()
	classes := session.ColumnClasses()
	found := 0
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		found++
		class, ok := classes[column]
		known := slices.ContainsFunc(session.DataClasses(), func(c session.DataClass) bool { return c.Class == class && c.Limit != "" })
		if !ok || !known {
			t.Errorf("nobody says how long %s lives: session.ColumnClasses must name it, with a class of session.DataClasses", column)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if found < 80 {
		t.Errorf("only %d columns were listed", found)
	}
}
