package tracker_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"
	"time"

	"ronde/tracker"
)

// rawPeer is a client that speaks the WebSocket protocol by hand, and wrongly
// when it is told to.
type rawPeer struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
}

// raw opens a socket by hand. A receive buffer of 0 leaves it to the system.
func (n *node) raw(path, protocol string, receiveBuffer int) *rawPeer {
	n.t.Helper()
	u, err := url.Parse(n.server.URL)
	must(n.t, err)
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		if receiveBuffer == 0 {
			return nil
		}
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		})
		return errors.Join(err, failed)
	}}
	conn, err := d.DialContext(n.t.Context(), "tcp", u.Host)
	must(n.t, err)
	n.t.Cleanup(func() { _ = conn.Close() })
	p := &rawPeer{n.t, conn, bufio.NewReaderSize(conn, 16)}
	must(n.t, tracker.Handshake(conn, p.br, u.Host, path, protocol))
	return p
}

// The bits and opcodes of RFC 6455, section 5.2.
const (
	fin  = 0x80
	rsv1 = 0x40

	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

// rfcFrame writes a masked frame, with the shortest length that holds it.
func rfcFrame(first byte, payload string) []byte {
	var b []byte
	switch n := len(payload); {
	case n < 126:
		b = []byte{first, 0x80 | byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(n))
	}
	return append(b, masked(payload)...)
}

// masked returns a mask and the payload under it.
func masked(payload string) []byte {
	mask := [4]byte{0x5a, 0x17, 0xc3, 0x88}
	b := mask[:]
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func (p *rawPeer) write(frames ...[]byte) {
	p.t.Helper()
	for _, f := range frames {
		if _, err := p.conn.Write(f); err != nil {
			p.t.Fatalf("write: %v", err)
		}
	}
}

// next returns the next frame; an error once the connection has ended.
func (p *rawPeer) next() (opcode byte, payload []byte, err error) {
	p.t.Helper()
	must(p.t, p.conn.SetReadDeadline(time.Now().Add(patience)))
	var head [2]byte
	if _, err := io.ReadFull(p.br, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	if n >= 126 {
		var ext [8]byte
		size := 2
		if n == 127 {
			size = 8
		}
		if _, err := io.ReadFull(p.br, ext[8-size:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(ext[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.br, payload)
	return head[0] & 0xf, payload, err
}

// text returns the next text frame.
func (p *rawPeer) text() string {
	p.t.Helper()
	for {
		op, payload, err := p.next()
		must(p.t, err)
		switch op {
		case opText:
			return string(payload)
		case opClose:
			p.t.Fatalf("closed with %d", closeCodeIn(payload))
		}
	}
}

// closed reads to the end of the connection, answers a close as a client would,
// and returns its code; 0 if there was none.
func (p *rawPeer) closed() (code int) {
	p.t.Helper()
	for {
		op, payload, err := p.next()
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			p.t.Fatal("the connection does not end")
		}
		if err != nil {
			return code
		}
		if op == opClose {
			code = closeCodeIn(payload)
			_, _ = p.conn.Write(rfcFrame(fin|opClose, string(payload))) // it may be gone already
		}
	}
}

func closeCodeIn(payload []byte) int {
	if len(payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16(payload))
}
