package tracker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// crowdEnv makes the test binary a crowd of clients instead of a test: in a
// process of its own, so that what the server holds can be measured apart.
const crowdEnv = "RONDE_TEST_CROWD"

// crowd opens a socket for every line of in, "address path protocol", says
// "ready" once all are open and have got their first frame, and holds them until
// in ends.
func crowd(in io.Reader, out, errOut io.Writer) int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	var failed error
	atOnce := make(chan struct{}, 32)
	lines := bufio.NewScanner(in)
	for lines.Scan() && lines.Text() != "" {
		words := strings.Fields(lines.Text())
		atOnce <- struct{}{}
		wg.Go(func() {
			defer func() { <-atOnce }()
			c, err := openSocket(words[0], words[1], words[2])
			mu.Lock()
			defer mu.Unlock()
			conns, failed = append(conns, c), errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		fmt.Fprintln(errOut, failed)
		return 1
	}
	fmt.Fprintln(out, "ready")
	for lines.Scan() { // until the end
		continue
	}
	for _, c := range conns {
		_ = c.Close()
	}
	return 0
}

// openSocket upgrades a connection and waits for the first frame.
func openSocket(address, path, protocol string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(c, 4<<10)
	if err := handshake(c, br, address, path, protocol); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := br.Peek(4); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// handshake asks for an upgrade, and reads the answer.
func handshake(c net.Conn, br *bufio.Reader, host, path, protocol string) error {
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", path, host, protocol)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // an upgrade has none
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// Handshake is for the tests that speak the protocol by hand.
var Handshake = handshake

// CrowdEnv is for the benchmark that has a crowd.
const CrowdEnv = crowdEnv
