package tap

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/portmesh/portmesh/aemp"
)

const (
	// chunk is how much is forwarded at once.
	chunk = 32 << 10
	// maxWaiting bounds what waits to be recorded, in bytes. Past it, the
	// connections go on and the recording has holes.
	maxWaiting = 64 << 20
	// handshakeTime bounds how long the greetings take, and a TLS handshake, if
	// the proxy takes part in it. Nodes allow as much.
	handshakeTime = 30 * time.Second
)

// A Proxy forwards connections to a node, and records what is said. Nothing
// that is said can make it fail: what it does not understand is forwarded all
// the same, and a recorder that is slow is left behind.
type Proxy struct {
	// Target is where the node listens, "host:port".
	Target string
	// TLS is the mesh's certificate ([aemp.NewTLSConfig]), with which
	// encrypted connections are read: the proxy then is the other node's place
	// for each. Nil means to forward them as they are.
	TLS *tls.Config
	// Dial opens a connection to the target. Nil means TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Record is called with every read, one after another. Nil means not to
	// record.
	Record func(Read)
}

// Serve forwards what connects to the listener, until ctx is done or the
// listener fails. When it returns, all connections are closed, all reads are
// recorded, and the listener is closed. It returns nil when ctx is done.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	rec := newRecorder(p.Record)
	defer rec.close()
	var connections sync.WaitGroup
	defer connections.Wait()
	defer l.Close()
	for number := 1; ; number++ {
		nc, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if err != nil {
			cancel()
			return fmt.Errorf("tap: %w", err)
		}
		connections.Go(func() { p.forward(ctx, nc, number, rec) })
	}
}

// forward serves one connection.
func (p *Proxy) forward(ctx context.Context, dialler net.Conn, number int, rec *recorder) {
	defer dialler.Close()
	listener, err := p.dial(ctx)
	if err != nil {
		rec.add(Read{Conn: number, Error: fmt.Sprintf("cannot reach the target: %v", err)})
		rec.add(Read{Conn: number, Dialled: true, Error: "closed by the proxy"})
		return
	}
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() {
		dialler.Close()
		listener.Close()
	})
	defer stop()

	a := &half{conn: number, dialled: true, from: dialler, to: listener, rec: rec}
	b := &half{conn: number, from: listener, to: dialler, rec: rec}
	if p.TLS != nil {
		if !p.enter(ctx, a, b) {
			return
		}
	}
	var halves sync.WaitGroup
	halves.Go(a.copy)
	halves.Go(b.copy)
	halves.Wait()
}

func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial(ctx, p.Target)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", p.Target)
}

// enter forwards the lines behind which TLS begins, and if it does, takes each
// node's place towards the other. It reports whether the connection goes on.
func (p *Proxy) enter(ctx context.Context, a, b *half) bool {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var lines sync.WaitGroup
	for _, h := range []*half{a, b} {
		h.from.SetReadDeadline(time.Now().Add(handshakeTime))
		lines.Go(h.greet)
	}
	lines.Wait()
	if ctx.Err() != nil {
		a.end(errors.New("the greetings were not complete in time"))
		b.end(errors.New("the greetings were not complete in time"))
		return false
	}
	a.from.SetReadDeadline(time.Time{})
	b.from.SetReadDeadline(time.Time{})
	if !a.wantsTLS() || !b.wantsTLS() {
		return true
	}
	// The side with the smaller nonce is the client.
	first, second := a, b
	if b.nonce < a.nonce {
		first, second = b, a
	}
	server := tls.Server(first.buffered(), p.TLS)  // towards the client
	client := tls.Client(second.buffered(), p.TLS) // towards the server
	var handshakes sync.WaitGroup
	for h, tc := range map[*half]*tls.Conn{first: server, second: client} {
		handshakes.Go(func() {
			if err := tc.HandshakeContext(ctx); err != nil {
				h.end(fmt.Errorf("TLS with the proxy: %w", err))
				first.from.Close()
				second.from.Close()
			}
		})
	}
	handshakes.Wait()
	if a.ended || b.ended {
		a.end(errors.New("closed by the proxy"))
		b.end(errors.New("closed by the proxy"))
		return false
	}
	first.from, second.to = server, server
	second.from, first.to = client, client
	first.tls, second.tls = true, true
	first.reader, second.reader = nil, nil
	return true
}

// A half is one direction of a connection.
type half struct {
	conn     int
	dialled  bool
	from, to net.Conn
	rec      *recorder

	reader *bufio.Reader // holds what was read past the nonce
	greets *aemp.Greeting
	nonce  string
	tls    bool
	ended  bool
}

func (h *half) read(r Read) {
	r.Conn, r.Dialled, r.TLS = h.conn, h.dialled, h.tls
	h.rec.add(r)
}

// end records the end of the half, once.
func (h *half) end(err error) {
	if h.ended {
		return
	}
	h.ended = true
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || h.tls && errors.Is(err, io.ErrUnexpectedEOF) {
		h.read(Read{EOF: true})
		return
	}
	h.read(Read{Error: err.Error()})
}

// greet forwards the greeting and the nonce. If that is not what comes, it
// forwards what it has read and leaves the rest to copy.
func (h *half) greet() {
	h.reader = bufio.NewReaderSize(h.from, maxLine)
	for i := range 2 {
		line, err := h.reader.ReadSlice('\n')
		if len(line) > 0 {
			h.read(Read{Data: bytes.Clone(line)})
			if _, err := h.to.Write(line); err != nil {
				return // copy will see it too
			}
		}
		if err != nil {
			return
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if i == 1 {
			h.nonce = text
			return
		}
		if h.greets, err = aemp.ParseGreeting(text); err != nil || !h.greets.TLS() {
			return // no TLS: the other lines need no attention
		}
	}
}

func (h *half) wantsTLS() bool { return h.greets != nil && h.greets.TLS() && h.nonce != "" }

// buffered is the connection, with what was read ahead in front.
func (h *half) buffered() net.Conn { return bufferedConn{h.from, h.reader} }

type bufferedConn struct {
	net.Conn
	r io.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// copy forwards until the side ends, and then tells the other.
func (h *half) copy() {
	var from io.Reader = h.from
	if h.reader != nil {
		from = h.reader
	}
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			h.read(Read{Data: bytes.Clone(buf[:n])})
			if _, werr := h.to.Write(buf[:n]); werr != nil {
				// The other side reads no more. It is told to this one as the
				// network would.
				h.end(io.EOF)
				h.from.Close()
				h.to.Close()
				return
			}
		}
		if err == nil {
			continue
		}
		h.end(err)
		half, ok := h.to.(interface{ CloseWrite() error })
		if !errors.Is(err, io.EOF) || !ok || half.CloseWrite() != nil {
			h.from.Close()
			h.to.Close()
		}
		return
	}
}

// A recorder hands reads to a function from a goroutine of its own, so that
// slow output does not hold up the nodes.
type recorder struct {
	start time.Time
	done  chan struct{} // closed by run

	mu      sync.Mutex
	wake    sync.Cond
	queue   []Read
	waiting int           // bytes in the queue
	lost    map[lane]bool // what is no longer recorded
	closed  bool
}

// A lane is one direction of a connection.
type lane struct {
	conn    int
	dialled bool
}

func newRecorder(record func(Read)) *recorder {
	if record == nil {
		record = func(Read) {}
	}
	r := &recorder{start: time.Now(), done: make(chan struct{}), lost: make(map[lane]bool)}
	r.wake.L = &r.mu
	go r.run(record)
	return r
}

// add queues a read, with the time.
func (r *recorder) add(read Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	read.Time = float64(time.Since(r.start).Microseconds()) / 1e6
	l := lane{read.Conn, read.Dialled}
	ends := read.EOF || read.Error != ""
	switch {
	case ends:
		delete(r.lost, l)
	case r.lost[l]:
		return
	case r.waiting+len(read.Data) > maxWaiting:
		r.lost[l] = true
		read.Data, read.Lost = nil, true
	}
	r.waiting += len(read.Data)
	r.queue = append(r.queue, read)
	r.wake.Signal()
}

func (r *recorder) run(record func(Read)) {
	defer close(r.done)
	for {
		r.mu.Lock()
		for len(r.queue) == 0 && !r.closed {
			r.wake.Wait()
		}
		batch := r.queue
		r.queue = nil
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, read := range batch {
			record(read)
			r.mu.Lock()
			r.waiting -= len(read.Data)
			r.mu.Unlock()
		}
	}
}

// close waits until all is recorded.
func (r *recorder) close() {
	r.mu.Lock()
	r.closed = true
	r.wake.Signal()
	r.mu.Unlock()
	<-r.done
}
