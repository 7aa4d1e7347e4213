package sqlite

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// TestListsSearch: no filter walks through the missions of other tenants, and
// what selects few among many is found by an index of its own.
func TestListsSearch(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ronde.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for index, f := range map[string]session.MissionFilter{
		"(tenant=?)":                        {},
		"INDEX missions_unended (tenant=?)": {States: []session.State{session.Active, session.Paused}},
		"INDEX missions_planned (tenant=? AND starts_at>? AND starts_at<?)": {From: day, To: day.AddDate(0, 0, 1)},
		"INDEX mission_agents_agent (agent=?)":                              {Agent: "badge-1"},
		"INDEX missions_reference (tenant=? AND reference=?)":               {Reference: "M-1"},
	} {
		where, args := selection("acme", &f, uuid.Nil, day.UnixMilli())
		var plan []string
		err := s.read(t.Context(), func(q queryer) error {
			return q.each(func(row *sql.Rows) error {
				var id, parent, unused int
				var step string
				err := row.Scan(&id, &parent, &unused, &step)
				plan = append(plan, step)
				return err
			}, "EXPLAIN QUERY PLAN SELECT * FROM missions "+where+" ORDER BY id DESC LIMIT 50", args...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "; "); !strings.Contains(text, index) || strings.Contains(text, "SCAN") {
			t.Errorf("%+v: %s, want %s", f, text, index)
		}
	}
}
