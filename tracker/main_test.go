package tracker

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package if anything it started still runs at the end.
func TestMain(m *testing.M) {
	if os.Getenv(crowdEnv) != "" {
		os.Exit(crowd(os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// Vectors hands the wire vectors to the tests over real sockets.
func Vectors(t testing.TB, file string) []Vector {
	var list []Vector
	for _, v := range vectors(t, file) {
		list = append(list, Vector{v.Name, v.bytes(), v.Decodes != nil, v.Error})
	}
	return list
}

// Vector is one frame of the wire vectors.
type Vector struct {
	Name  string
	Frame []byte
	Used  bool   // something of it is used
	Error string // the code that answers it
}

// ProbeAll has a hub ask every socket for a sign of life.
func ProbeAll(h *Hub) {
	for _, r := range h.everyRoom() {
		r.probe(nil)
	}
}
