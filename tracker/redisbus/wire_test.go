package redisbus_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire carries connections to a server and can forget the ones it has, as a
// firewall does: they stay open, and nothing passes any more.
type wire struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup

	mu        sync.Mutex
	sockets   []net.Conn // guarded by mu, like forgotten: both ends of every connection
	forgotten map[net.Conn]bool
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, server: server, forgotten: map[net.Conn]bool{}}
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		for _, c := range w.sockets {
			_ = c.Close()
		}
		w.mu.Unlock()
		w.wg.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

// forget lets nothing pass any more on the connections there are.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.sockets {
		w.forgotten[c] = true
	}
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.sockets = append(w.sockets, client, server)
		w.mu.Unlock()
		w.wg.Go(func() { w.carry(client, server) })
		w.wg.Go(func() { w.carry(server, client) })
	}
}

// carry copies what one end sends to the other, unless it is forgotten. The end
// of a connection is carried too.
func (w *wire) carry(from, to net.Conn) {
	defer to.Close()
	_, _ = io.Copy(writer(func(b []byte) (int, error) {
		w.mu.Lock()
		forgotten := w.forgotten[from]
		w.mu.Unlock()
		if forgotten {
			return len(b), nil
		}
		return to.Write(b)
	}), from)
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
