package main

import (
	"testing"

	"ronde/configs"
)

// TestKeysApart: the privacy policy says that a backup of the data opens nothing only where the keys are on another server.
func TestKeysApart(t *testing.T) {
	c := configs.Default()
	c.Store, c.Keys = "postgres://ronde@db/ronde", "postgres://ronde@vault/keys"
	for _, oneServer := range []bool{false, true} {
		if apart := installationOf(c.Resolve(), oneServer).KeysApart; apart == oneServer {
			t.Errorf("on one server %t: the keys are said to be apart: %t", oneServer, apart)
		}
	}
	if installationOf(configs.Default().Resolve(), false).KeysApart {
		t.Error("keys in the data folder are said to be apart from it")
	}
}
