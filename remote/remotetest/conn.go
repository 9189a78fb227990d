package remotetest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// room is how many bytes can be on their way in one direction of a connection
// before a write waits.
const room = 64 << 10

// A conn is one end of a connection. Everything in it is guarded by the lock of
// the network.
type conn struct {
	net    *network
	path   *path
	peer   *conn
	local  addr
	remote addr

	// changed is told whenever something of this end may have changed for
	// those who wait in Read or Write.
	changed *sync.Cond

	in       stream // what the other end has written
	closed   bool   // Close was called
	finished bool   // CloseWrite was called
	broken   error  // the connection ended with an error, which this end knows

	reading deadline
	writing deadline
}

// A stream is what is on its way to a conn.
type stream struct {
	chunks  []chunk
	size    int       // bytes in the chunks
	latest  time.Time // when the last of the chunks arrives
	reset   bool      // the connection has been broken at the other end
	resetAt time.Time // when that arrives
}

// A chunk is some bytes, or the end of the stream.
type chunk struct {
	data []byte
	end  bool
	at   time.Time // when it arrives
}

// newConns makes the two ends of a connection. The caller holds the lock.
func newConns(n *network, p *path, from, to addr) (*conn, *conn) {
	a := &conn{net: n, path: p, local: from, remote: to, changed: sync.NewCond(&n.mu)}
	b := &conn{net: n, path: p, local: to, remote: from, changed: sync.NewCond(&n.mu)}
	a.peer, b.peer = b, a
	p.conns[a], p.conns[b] = true, true
	return a, b
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		if err := c.check(&c.reading); err != nil {
			return 0, c.failed("read", err)
		}
		if len(p) == 0 {
			return 0, nil
		}
		if len(c.in.chunks) > 0 && c.arrived(c.in.chunks[0].at) {
			first := &c.in.chunks[0]
			if first.end {
				return 0, io.EOF // and again, when asked again
			}
			n := copy(p, first.data)
			if first.data = first.data[n:]; len(first.data) == 0 {
				c.in.chunks = c.in.chunks[1:]
			}
			c.in.size -= n
			c.peer.changed.Broadcast()
			return n, nil
		}
		c.changed.Wait()
	}
}

// Write implements net.Conn. It waits only for room.
func (c *conn) Write(p []byte) (written int, err error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		if err := c.check(&c.writing); err != nil {
			return written, c.failed("write", err)
		}
		if c.finished || c.peer.closed && c.arrived(c.in.latest) {
			return written, c.failed("write", syscall.EPIPE)
		}
		if len(p) == 0 {
			return written, nil
		}
		if n := min(len(p), room-c.peer.in.size); n > 0 {
			c.send(chunk{data: append([]byte(nil), p[:n]...)})
			p = p[n:]
			written += n
			continue
		}
		c.changed.Wait()
	}
}

// check returns why this end cannot be used now.
func (c *conn) check(d *deadline) error {
	if c.broken == nil && c.in.reset && c.arrived(c.in.resetAt) {
		c.breakOff(syscall.ECONNRESET)
	}
	switch {
	case c.closed:
		return net.ErrClosed
	case d.passed():
		return os.ErrDeadlineExceeded
	}
	return c.broken
}

// arrived reports whether what is due at that time is here.
func (c *conn) arrived(at time.Time) bool { return !c.path.parted && !time.Now().Before(at) }

// send puts a chunk on its way to the other end.
func (c *conn) send(next chunk) {
	to := c.peer
	if to.closed {
		return // nobody will read it
	}
	next.at = c.path.arrival(to.in.latest)
	to.in.latest = next.at
	to.in.chunks = append(to.in.chunks, next)
	to.in.size += len(next.data)
	to.wakeAt(next.at)
}

// wakeAt tells those who wait at this end, when something arrives there.
func (c *conn) wakeAt(at time.Time) {
	if wait := time.Until(at); wait > 0 {
		time.AfterFunc(wait, c.wake)
		return
	}
	c.changed.Broadcast()
}

func (c *conn) wake() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.changed.Broadcast()
}

// breakOff ends this end with an error; nothing more can be read.
func (c *conn) breakOff(cause error) {
	if c.broken == nil {
		c.broken = cause
	}
	c.in.chunks, c.in.size = nil, 0
	delete(c.path.conns, c)
	c.changed.Broadcast()
	c.peer.changed.Broadcast()
}

// reset breaks this end at once, as the end of its process does, and the other
// end as soon as the network says so.
func (c *conn) reset() {
	c.breakOff(syscall.ECONNRESET)
	to := c.peer
	if to.in.reset {
		return
	}
	to.in.reset, to.in.resetAt = true, c.path.arrival(time.Time{})
	to.wakeAt(to.in.resetAt)
}

// CloseWrite ends the stream to the other end; this one can still read.
func (c *conn) CloseWrite() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.finish()
	return nil
}

func (c *conn) finish() {
	if !c.finished {
		c.finished = true
		c.send(chunk{end: true})
		c.changed.Broadcast()
	}
}

// Close implements net.Conn. What was written before can still be read.
func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.finish()
	c.closed = true
	c.reading.set(c, time.Time{})
	c.writing.set(c, time.Time{})
	c.breakOff(net.ErrClosed)
	return nil
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.reading, &c.writing) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.reading) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writing) }

func (c *conn) setDeadlines(t time.Time, deadlines ...*deadline) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		d.set(c, t)
	}
	c.changed.Broadcast()
	return nil
}

func (c *conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// A deadline is for reading or for writing. The zero time is none.
type deadline struct {
	t     time.Time
	timer *time.Timer
}

func (d *deadline) set(c *conn, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.t = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, c.wake)
	}
}

func (d *deadline) passed() bool { return !d.t.IsZero() && !time.Now().Before(d.t) }
