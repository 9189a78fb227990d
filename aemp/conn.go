package aemp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A Conn is an authenticated connection to another node, in its data phase
// (section 4 of the protocol).
//
// Send may be called by any number of goroutines at once, and together with
// the receiving methods; of those, one call at a time.
type Conn struct {
	nc        net.Conn
	local     *Greeting
	remote    *Greeting
	sending   Framing
	receiving Framing
	tls       bool

	// For Send.
	mu  sync.Mutex
	enc Encoder
	out []byte

	// For Next: buf[start:end] is read but not yet handed out.
	dec        Decoder
	buf        []byte
	start, end int
	packet     []byte
	received   atomic.Int64
}

const (
	// readBuffer is the size of the buffer that reads go to, as long as no
	// packet is larger.
	readBuffer = 32 << 10
	// readBufferKept is the largest buffer that is kept behind a packet that
	// needed it.
	readBufferKept = 1 << 20
)

// newConn makes a connection of a finished handshake. The early bytes were
// read together with the peer's last line.
func newConn(nc net.Conn, h *handshake, early []byte) *Conn {
	c := &Conn{
		nc:        nc,
		local:     h.local,
		remote:    h.remote,
		sending:   h.sending,
		receiving: h.receiving,
		tls:       h.tls,
		enc:       h.sending.NewEncoder(),
		dec:       h.receiving.NewDecoder(h.cfg.Limits),
		buf:       make([]byte, readBuffer),
	}
	c.end = copy(c.buf, early)
	return c
}

// Local returns the greeting that we sent.
func (c *Conn) Local() *Greeting { return c.local }

// Remote returns the greeting of the peer.
func (c *Conn) Remote() *Greeting { return c.remote }

// Framings returns the framings in use, which may differ: the peer prefers
// what we send, and we prefer what it sends.
func (c *Conn) Framings() (sending, receiving Framing) { return c.sending, c.receiving }

// TLS reports whether the connection is encrypted.
func (c *Conn) TLS() bool { return c.tls }

// NetConn returns the connection below, for its addresses and deadlines.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Send sends a message to a port of the peer: by custom a tag and arguments.
// The node port has the empty name. The types that a message may hold are told
// at [Message]; a value of another type is an error that wraps
// [ErrUnsupportedValue], after which the connection is as before. After any
// other error it is of no further use.
func (c *Conn) Send(port string, m ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := EncodeMessage(c.enc, c.out[:0], port, m...)
	if err != nil {
		return fmt.Errorf("aemp: message to port %q: %w", port, err)
	}
	c.out = out
	_, err = c.nc.Write(out)
	if cap(c.out) > readBufferKept {
		c.out = nil
	}
	return err
}

// Receive waits for the next message and returns it with the name of the port
// that it is for. It passes over keep-alives. At the regular end of the
// connection the error is [io.EOF]; after a [PacketError] or any other error
// the connection is of no further use.
func (c *Conn) Receive() (port string, m Message, err error) {
	for {
		d, err := c.Next()
		if err != nil {
			return "", nil, err
		}
		name, ok, err := DecodePort(d)
		if err != nil {
			return "", nil, c.packetError(err)
		}
		if !ok {
			continue
		}
		port := string(name)
		m, err := DecodeMessage(d)
		if err != nil {
			return "", nil, c.packetError(err)
		}
		if tag, _ := m.Tag(); port == "" && tag == "" && len(m) <= 1 {
			continue
		}
		return port, m, nil
	}
}

// Next waits for the next packet and returns the decoder that stands at its
// first value; it is valid until the next call. This is Receive without the
// intermediate [Message], for those who read messages into types of their own.
// Its errors are those of Receive.
func (c *Conn) Next() (Decoder, error) {
	for {
		if d, err := c.Buffered(); d != nil || err != nil {
			return d, err
		}
		if err := c.Fill(); err != nil {
			return nil, err
		}
	}
}

// Buffered returns the decoder for the next packet as Next does, if it has come
// already; else nil. It never waits.
func (c *Conn) Buffered() (Decoder, error) {
	if c.start == c.end {
		return nil, nil
	}
	n, err := c.dec.Scan(c.buf[c.start:c.end])
	if err != nil {
		return nil, c.packetError(err)
	}
	if n == 0 {
		return nil, nil
	}
	c.packet = c.buf[c.start : c.start+n : c.start+n]
	c.start += n
	c.dec.Reset(c.packet)
	return c.dec, nil
}

// Packet returns the packet that Next has found, for decoders that want to read
// it again ([Decoder.Reset]). It is valid until the next call of Next.
func (c *Conn) Packet() []byte { return c.packet }

// BufferedBytes is how much has come that no packet was found in yet.
func (c *Conn) BufferedBytes() int { return c.end - c.start }

// Fill waits for more to come, for use with Buffered. Its errors are those of
// Receive.
func (c *Conn) Fill() error {
	switch {
	case c.start == c.end:
		c.start, c.end = 0, 0
		if len(c.buf) > readBufferKept {
			c.buf = make([]byte, readBuffer)
		}
	case c.end < len(c.buf):
	case c.start > 0:
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
	default:
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.nc.Read(c.buf[c.end:])
	c.end += n
	c.received.Add(int64(n))
	if n > 0 {
		return nil // an error will come again
	}
	if errors.Is(err, io.EOF) && len(bytes.TrimSpace(c.buf[c.start:c.end])) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Received returns the number of bytes that have come since the handshake. It
// may be called at any time; that it grows shows that the peer is alive.
func (c *Conn) Received() int64 { return c.received.Load() }

// Hijack takes the connection over for other purposes than messages: a data
// connection. What has been read ahead comes first. The Conn is of no further
// use.
func (c *Conn) Hijack() net.Conn {
	if c.start == c.end {
		return c.nc
	}
	early := bytes.NewReader(c.buf[c.start:c.end])
	return bufferedConn{c.nc, io.MultiReader(early, c.nc)}
}

// NewEncoder returns an encoder for the framing that the peer wants, for use
// together with Write. Each is for one goroutine at a time.
func (c *Conn) NewEncoder() Encoder { return c.sending.NewEncoder() }

// Write sends whole packets that an encoder of [Conn.NewEncoder] has made.
func (c *Conn) Write(packets []byte) (int, error) { return c.nc.Write(packets) }

// CloseWrite tells the peer that nothing more will come, and leaves the other
// direction open. What was written before reaches the peer.
func (c *Conn) CloseWrite() error {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection. What was written before still reaches the peer
// as long as it reads. Calls that wait return with an error.
func (c *Conn) Close() error { return c.nc.Close() }

// A PacketError tells that a peer sent something that is no packet, or one
// beyond the limits. It wraps [ErrMalformed], [ErrNotArray], [ErrTooDeep],
// [ErrTooLarge] or [ErrPortName].
type PacketError struct {
	Framing string // the framing that the peer chose
	Err     error
}

func (e *PacketError) Error() string { return fmt.Sprintf("aemp: %s packet: %v", e.Framing, e.Err) }

// Unwrap returns e.Err.
func (e *PacketError) Unwrap() error { return e.Err }

func (c *Conn) packetError(err error) error { return &PacketError{c.receiving.Name(), err} }
