package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"ronde/session/postgres/pgtest"
)

// TestAccessLogLocked has another client of the database lock the table of the access log, as a backup or a careless
// migration does: nothing is read and nobody begins to watch (I6), while phones, and those whose watching is recorded,
// notice nothing (I9). Then everything is as before.
func TestAccessLogLocked(t *testing.T) {
	dsn := newDatabase(t, pgtest.Start(t))
	a := startAppOn(t, dsn)
	p := newOutagePhone(a)
	reads := []string{"/progress", "/track", "/report"}
	link := a.link(p.mission, "exact")

	owner, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	defer func() { check(t, owner.Close(context.Background())) }()
	tx, err := owner.Begin(t.Context())
	check(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE access_log IN ACCESS EXCLUSIVE MODE")
	check(t, err)

	answers := make([]string, len(reads)+1)
	var asked sync.WaitGroup
	for i, read := range reads {
		asked.Go(func() { answers[i] = a.get("/v1/missions/"+p.mission+read, a.key) })
	}
	asked.Go(func() { answers[len(reads)] = a.get("/v1/live/events", link) })
	frame, code := a.socket("/v1/live", "ronde.live.v1", link).next()
	if frame != nil || code != 1001 {
		t.Errorf("a socket that is not recorded got %v and closed with %d", frame, code)
	}
	p.mustArrive()
	p.viewer.until("progress")
	asked.Wait()
	for i, answer := range answers {
		if !strings.HasPrefix(answer, "503 ") || !strings.Contains(answer, "store_unavailable") || strings.Contains(answer, "48.85") {
			t.Errorf("%d: %s", i, answer)
		}
	}

	check(t, tx.Rollback(t.Context()))
	for _, read := range reads {
		a.call(200, "GET", "/v1/missions/"+p.mission+read, nil)
	}
	a.socket("/v1/live", "ronde.live.v1", link).until("snapshot")
	p.compare()
}

// get returns the status and the body of an answer, or why there is none.
func (a *testApp) get(path, token string) string {
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, a.config.PublicURL+path, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body), " ", err)
}
