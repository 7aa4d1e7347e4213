package session_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// TestValidate: each rule names the member that breaks it, as the API calls
// it, and says the rule.
func TestValidate(t *testing.T) {
	if err := newMission().Validate(); err != nil {
		t.Fatal(err)
	}
	checkpoint := func(c session.Checkpoint) func(m *session.Mission) {
		return func(m *session.Mission) {
			m.Checkpoints = []session.Checkpoint{{Name: "ok", Point: m.Site.Center, RadiusM: 10}, c}
		}
	}
	here := newMission().Site.Center
	for _, c := range []struct {
		spoil func(m *session.Mission)
		field string
		rule  string
	}{
		{func(m *session.Mission) { m.Tenant = "" }, "tenant", "lower-case"},
		{func(m *session.Mission) { m.Tenant = "Acme" }, "tenant", "lower-case"},
		{func(m *session.Mission) { m.Tenant = "-acme" }, "tenant", "hyphen"},
		{func(m *session.Mission) { m.Tenant = strings.Repeat("a", 64) }, "tenant", "63"},
		{func(m *session.Mission) { m.Reference = " " }, "reference", "required"},
		{func(m *session.Mission) { m.Reference = strings.Repeat("é", 201) }, "reference", "200 characters"},
		{func(m *session.Mission) { m.Reference = "two\nlines" }, "reference", "control"},
		{func(m *session.Mission) { m.Reference = "right\u202eto left" }, "reference", "formatting"},
		{func(m *session.Mission) { m.Reference = "\xff" }, "reference", "UTF-8"},
		{func(m *session.Mission) { m.Site.Name = "" }, "site.name", "required"},
		{func(m *session.Mission) { m.Site.Center = geo.Point{} }, "site.point", "0,0"},
		{func(m *session.Mission) { m.Site.Center.Latitude = 91 }, "site.point", "±90"},
		{func(m *session.Mission) { m.Site.Center.Longitude = math.NaN() }, "site.point", "±180"},
		{func(m *session.Mission) { m.Site.RadiusM = 0.9 }, "site.radius_m", "1 to 50000"},
		{func(m *session.Mission) { m.Site.RadiusM = 50_001 }, "site.radius_m", "1 to 50000"},
		{func(m *session.Mission) { m.Site.RadiusM = math.NaN() }, "site.radius_m", "1 to 50000"},
		{func(m *session.Mission) { m.Checkpoints = make([]session.Checkpoint, 201) }, "checkpoints", "200"},
		{checkpoint(session.Checkpoint{Point: here, RadiusM: 10}), "checkpoints[1].name", "required"},
		{checkpoint(session.Checkpoint{Name: "door", RadiusM: 10}), "checkpoints[1]", "0,0"},
		{checkpoint(session.Checkpoint{Name: "door", Point: here}), "checkpoints[1].radius_m", "1 to"},
		{func(m *session.Mission) { m.StartsAt = time.Time{} }, "starts_at", "required"},
		{func(m *session.Mission) { m.EndsAt = time.Time{} }, "ends_at", "required"},
		{func(m *session.Mission) { m.EndsAt = m.StartsAt }, "ends_at", "after starts_at"},
		{func(m *session.Mission) { m.Overrun = -time.Minute }, "overrun_minutes", "0 to 1440"},
		{func(m *session.Mission) { m.Overrun = 25 * time.Hour }, "overrun_minutes", "0 to 1440"},
		{func(m *session.Mission) { m.EarlyBegin = -1 }, "early_minutes", "0 to 1440"},
		{func(m *session.Mission) { m.EarlyBegin = 25 * time.Hour }, "early_minutes", "0 to 1440"},
		{func(m *session.Mission) { m.EndsAt = m.StartsAt.Add(70*time.Hour + 1) }, "ends_at", "72 hours"},
		{func(m *session.Mission) { m.Policy.RetentionDays = 0 }, "policy.retention_days", "1 to 60"},
		{func(m *session.Mission) { m.Policy.RetentionDays = 1 }, "policy.retention_days", "beyond the day"},
		{func(m *session.Mission) { m.Policy.RetentionDays = 61 }, "policy.retention_days", "1 to 60"},
		{func(m *session.Mission) { m.Policy.Proof, m.Policy.RetentionDays = true, 366 }, "policy.retention_days", "1 to 365"},
		{func(m *session.Mission) { m.Policy.MinInterval = 0 }, "policy.min_interval_ms", "1 to 3600000"},
		{func(m *session.Mission) { m.Policy.MinInterval = time.Hour + time.Millisecond }, "policy.min_interval_ms", "1 to 3600000"},
		{func(m *session.Mission) { m.Policy.MinInterval = 1500 * time.Microsecond }, "policy.min_interval_ms", "1 to 3600000"},
		{func(m *session.Mission) { m.Policy.MaxPoints = -1 }, "policy.max_points", "1 to 1000000"},
		{func(m *session.Mission) { m.Agents = nil }, "agents", "1 to 50"},
		{func(m *session.Mission) { m.Agents = make([]session.Agent, 51) }, "agents", "1 to 50"},
		{func(m *session.Mission) { m.Agents[1].ID = "no spaces" }, "agents[1].agent", "begin with a letter"},
		{func(m *session.Mission) { m.Agents[1].ID = strings.Repeat("a", 65) }, "agents[1].agent", "64"},
		{func(m *session.Mission) { m.Agents[1].ID = "me" }, "agents[1].agent", "twice"},
		{func(m *session.Mission) { m.Agents[1].Alias = "" }, "agents[1].alias", "32"},
		{func(m *session.Mission) { m.Agents[1].Alias = "<b>" }, "agents[1].alias", "letters"},
		{func(m *session.Mission) { m.Agents[1].Alias = "A1" }, "agents[1].alias", "twice"},
	} {
		m := newMission()
		c.spoil(m)
		err := m.Validate()
		var refusal *session.Error
		switch {
		case !errors.As(err, &refusal) || !errors.Is(err, session.ErrInvalid):
			t.Errorf("%s: %v, want ErrInvalid", c.field, err)
		case refusal.Field != c.field || !strings.Contains(refusal.Detail, c.rule):
			t.Errorf("%q, want the member %s and %q", refusal, c.field, c.rule)
		}
	}
}

// TestValidateAccepts: what lies at the border of a rule is within it.
func TestValidateAccepts(t *testing.T) {
	area, err := geo.ParseArea([]byte(`{"type":"Polygon","coordinates":[[[2.41,48.84],[2.4101,48.84],[2.41,48.8401],[2.41,48.84]]]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(m *session.Mission){
		func(m *session.Mission) { m.Tenant = strings.Repeat("a", 63) },
		func(m *session.Mission) { m.Reference = strings.Repeat("é", 200) },
		func(m *session.Mission) { m.Site.RadiusM = 50_000 },
		func(m *session.Mission) { m.Site = geo.NewAreaSite("Bureaux", area) },
		func(m *session.Mission) { m.Overrun, m.EndsAt = 24*time.Hour, m.StartsAt.Add(48*time.Hour) },
		func(m *session.Mission) { m.Policy.Proof, m.Policy.RetentionDays = true, 365 },
		func(m *session.Mission) { m.Policy.MinInterval = time.Hour },
		func(m *session.Mission) { m.Policy.MaxPoints = 1_000_000 },
		func(m *session.Mission) { m.Agents[0].ID, m.Agents[0].Alias = "bob.b_c@example-1", "Équipe 2" },
		func(m *session.Mission) {
			m.Agents = nil
			for n := range session.MaxAgents {
				m.Agents = append(m.Agents, session.Agent{ID: fmt.Sprint("agent-", n), Alias: fmt.Sprint("A", n)})
			}
		},
	} {
		m := newMission()
		change(m)
		if err := m.Validate(); err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
}
