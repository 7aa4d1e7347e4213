package postgres_test

import (
	"os"
	"strings"
	"testing"

	"ronde/session/postgres/pgtest"
	"ronde/session/storetest"
)

// TestRaceCatches shows that storetest.Race finds what it is for: judging
// functions that are wrong in the two ways that suggest themselves. How soon
// depends on the machine, so this belongs to the long forms.
func TestRaceCatches(t *testing.T) {
	if !storetest.Long() {
		t.Skip("set RONDE_CHAOS=1")
	}
	for _, plant := range []struct {
		name    string
		replace []string // pairs of old and new
	}{
		{"judging in the statement that waits for the lock", []string{
			"WHERE m.id = ANY (s_mission) ORDER BY m.id FOR SHARE SKIP LOCKED", "WHERE false",
			"LEFT JOIN missions m ON", "LEFT JOIN (SELECT * FROM missions x WHERE x.id = ANY (s_mission) ORDER BY x.id FOR SHARE) m ON",
			"WHEN m.id NOT IN (SELECT unnest(locked)) THEN is_locked", "",
		}},
		{"judging without the lock", []string{" FOR SHARE SKIP LOCKED", ""}},
	} {
		t.Run(plant.name, func(t *testing.T) {
			d := newClockedDatabase(t, pgtest.Start(t))
			d.exec(t, planted(t, plant.replace))
			total := 0
			for range 10 {
				stored, outside := storetest.Race(t, d.fixture(t), 20_000)
				total += stored
				if outside > 0 {
					t.Logf("caught: %d of %d stored positions lie outside every window", outside, total)
					return
				}
			}
			t.Errorf("%d positions were stored and none lies outside: the race does not find this", total)
		})
	}
}

// planted returns the judging function, changed.
func planted(t *testing.T, replace []string) string {
	t.Helper()
	text, err := os.ReadFile("migrations/00004_append.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, function, found := strings.Cut(string(text), "CREATE FUNCTION ronde_append(")
	function, _, ended := strings.Cut(function, "-- +goose StatementEnd")
	if !found || !ended {
		t.Fatal("the judging function is not where it was")
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(function, replace[i]) {
			t.Fatalf("the judging function no longer says %q", replace[i])
		}
		function = strings.ReplaceAll(function, replace[i], replace[i+1])
	}
	return "CREATE OR REPLACE FUNCTION ronde_append(" + function
}
