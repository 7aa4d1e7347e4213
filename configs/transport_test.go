package configs

import "testing"

// TestTransport: what is called encrypted or local is so for sure.
func TestTransport(t *testing.T) {
	for setting, want := range map[string]Transport{
		"sqlite:data/ronde.db": Local, "mem:": Local, "file:keys": Local,
		"postgres://node@127.0.0.1/ronde": Local, "postgres://node@[::1]:5433/ronde": Local, "postgres://node@localhost/ronde": Local,
		"redis://:secret@127.0.0.1:6379": Local, "redis-cluster://127.0.0.1:1,127.0.0.1:2": Local,
		"postgres://node@db/ronde":                     Plain,
		"postgres://node@db/ronde?sslmode=prefer":      Plain,
		"postgres://node@db/ronde?sslmode=disable":     Plain,
		"postgres://node@127.0.0.1,db/ronde":           Plain,
		"postgres://node@127.0.0.1.evil.example/ronde": Plain,
		"redis://bus": Plain, "redis-cluster://127.0.0.1,bus": Plain,
		"postgres://node@db/ronde?sslmode=require":     Encrypted,
		"postgres://node@db/ronde?sslmode=verify-full": Encrypted,
		"rediss://bus?ca=ca.pem":                       Encrypted,
	} {
		if got := transport(setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}
