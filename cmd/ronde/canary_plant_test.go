package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/configs"
	"ronde/session/postgres/pgtest"
	"ronde/web"
)

// plant writes the canary into each kind of place of an installation that is stopped, as a program would.
func (c *canary) plant() {
	c.t.Helper()
	c.app.log.Error("planted", "latitude", canaryLatitude)
	o := ronde(c.t, "config", "--data", c.config.Data, "--operator-name", fmt.Sprint("at ", canaryLongitude))
	c.outputs["config, planted"] = o.out
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "planted"}, []string{"place"})
	registry.MustRegister(gauge)
	gauge.WithLabelValues(fmt.Sprint(canaryLatitude)).Set(1)
	ops := httptest.NewServer(web.NewOps(web.OpsOptions{Gatherer: registry}))
	defer ops.Close()
	c.scrape(ops.URL + "/metrics")
	check(c.t, checkpointFolder{c.config.Checkpoints}.append(fmt.Sprintf("%v\n", canaryLatitude), time.Now()))
	check(c.t, os.WriteFile(filepath.Join(c.temp, "planted"), coordinateNeedles(c.t)[0].bytes, 0o600))
	if c.store == nil {
		c.plantEmbedded()
		return
	}
	plantPostgres(c, c.store)
	plantPostgres(c, c.keys)
	c.monitor.server.Do(c.t, "SET", "planted", canaryLongitude)
}

func (c *canary) plantEmbedded() {
	c.t.Helper()
	db, err := sql.Open("sqlite3", strings.TrimPrefix(c.config.Store, "sqlite:"))
	check(c.t, err)
	c.t.Cleanup(func() { check(c.t, db.Close()) }) // until then the log of the last row stays
	for _, statement := range []string{
		`PRAGMA journal_mode = WAL`, `CREATE TABLE planted (latitude REAL)`, `INSERT INTO planted VALUES (48.8613579)`,
		`PRAGMA wal_checkpoint(TRUNCATE)`, `INSERT INTO planted VALUES (48.8613579)`,
	} {
		_, err := db.Exec(statement)
		check(c.t, err)
	}
	_, keys := configs.Split(c.config.Keys)
	check(c.t, os.WriteFile(filepath.Join(keys, "planted"), c.needles[len(c.needles)-1].bytes, 0o600))
	c.plantInBrowser()
}

// plantInBrowser has a page keep the canary in each way in which a page may.
func (c *canary) plantInBrowser() {
	c.t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "<title>planted</title><p id=place>%v</p>", canaryLatitude)
	}))
	defer page.Close()
	b := openBrowser(c.t, page.URL, "--profile="+c.profile)
	b.open(fmt.Sprintf("%s/page#%v", page.URL, canaryLatitude))
	b.do("read", object{"expression": `localStorage.setItem('planted', '48.8613579,2.3517246')`})
	b.do("read", object{"expression": `new Promise((done, failed) => {
		const opening = indexedDB.open('planted', 1);
		opening.onerror = failed;
		opening.onupgradeneeded = () => opening.result.createObjectStore('places');
		opening.onsuccess = () => {
			const transaction = opening.result.transaction('places', 'readwrite', { durability: 'strict' });
			transaction.objectStore('places').put({ latitude: 48.8613579, name: '2.3517246' }, 1);
			transaction.oncomplete = () => done();
		};
	})`})
	b.close()
	p := newPlaces(c.t, newFinder(c.needles))
	p.folder(c.profile, func(path string) string { return path })
	for _, keeper := range []string{"Local Storage", "IndexedDB", "Cache", "History"} {
		found := false
		for path := range p.found {
			found = found || strings.Contains(path, keeper)
		}
		if !found {
			c.t.Errorf("what a page keeps in %s is not found", keeper)
		}
	}
}

// plantPostgres writes the canary into a table, which goes through the server's log and its write-ahead log.
func plantPostgres(c *canary, server *pgtest.Server) {
	c.t.Helper()
	execSQL(c.t, server.DSN("postgres"), `CREATE TABLE planted (latitude float8, place text)`,
		`INSERT INTO planted VALUES (48.8613579, '2.3517246')`, `CHECKPOINT`)
}
