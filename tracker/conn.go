package tracker

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// What one socket may hold. An idle socket costs its read goroutine, two
// buffers of socketBuffer bytes and little more.
const (
	socketBuffer = 1 << 10
	// viewerSendBuffer is the kernel's send buffer of a viewer's socket. A
	// stalled viewer would otherwise swallow thousands of frames into it and
	// later be shown the past.
	viewerSendBuffer = 4 << 10
	// writeTimeout ends a connection whose peer takes nothing for so long.
	writeTimeout = 10 * time.Second
	// closeTimeout is how long a peer may take over the closing handshake.
	closeTimeout = time.Second
)

// socket is a WebSocket and the connection below it.
type socket struct {
	*websocket.Conn
	below net.Conn
}

// accept upgrades a request to a WebSocket whose connection has small buffers
// and a time limit on each write. The limit is a deadline on the connection
// itself: a context with a timeout would cost eleven allocations a write.
func accept(w http.ResponseWriter, r *http.Request, subprotocol string, sendBuffer int) (socket, error) {
	slim := &slimWriter{ResponseWriter: w, sendBuffer: sendBuffer}
	ws, err := websocket.Accept(slim, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // package web has compared the exact origin
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return socket{}, err
	}
	ws.SetReadLimit(-1) // the read loops bound a message themselves, to close with our own code
	return socket{ws, slim.hijacked}, nil
}

// slimWriter hands back a hijacked connection with small buffers instead of
// the server's own 4 KiB ones, which live as long as the connection.
type slimWriter struct {
	http.ResponseWriter
	sendBuffer int // 0: the system's default
	hijacked   net.Conn
}

func (w *slimWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w *slimWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok && w.sendBuffer > 0 {
		if err := tcp.SetWriteBuffer(w.sendBuffer); err != nil {
			return nil, nil, err
		}
	}
	// What the client sent right behind its handshake must not be lost. The
	// websocket package asks the reader for what it has buffered.
	ahead := make([]byte, rw.Reader.Buffered())
	if _, err := io.ReadFull(rw.Reader, ahead); err != nil {
		return nil, nil, err
	}
	c := timedConn{nc}
	w.hijacked = c
	br := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(ahead), c), max(socketBuffer, len(ahead)))
	if len(ahead) > 0 {
		if _, err := br.Peek(len(ahead)); err != nil {
			return nil, nil, err
		}
	}
	return c, bufio.NewReadWriter(br, bufio.NewWriterSize(c, socketBuffer)), nil
}

// timedConn limits the time of every write.
type timedConn struct{ net.Conn }

func (c timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// drain reads on until the connection ends, from a message that may not have
// been read to its end: a closing handshake needs somebody to read, and what is
// left of a message would be taken for the header of the next one.
func (s socket) drain(r io.Reader) {
	for {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return
		}
		var err error
		if _, r, err = s.Reader(context.Background()); err != nil {
			return
		}
	}
}

// release ends whatever still waits on the socket, once its connection was cut:
// a ping, say, whose answer will not come any more.
func (s socket) release() { _ = s.CloseNow() }

// hangUp closes the socket with a code, and cuts the connection if the peer
// does not answer in time. The reason is for people: machines read the code.
func (s socket) hangUp(code websocket.StatusCode, reason string) {
	cut := time.AfterFunc(closeTimeout, func() { _ = s.below.Close() })
	defer cut.Stop()
	_ = s.Close(code, reason) // an error says that the peer is gone already
}
