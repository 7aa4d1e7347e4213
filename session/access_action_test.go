package session

import (
	"strings"
	"testing"
)

// Each action says of what it is and what was done, and none is there twice.
func TestAccessActions(t *testing.T) {
	seen := map[AccessAction]bool{}
	for _, a := range accessActions {
		object, verb, ok := strings.Cut(string(a), ".")
		if seen[a] || !ok || object == "" || verb == "" || strings.ToLower(string(a)) != string(a) {
			t.Errorf("action %q", a)
		}
		seen[a] = true
	}
}
