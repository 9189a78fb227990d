package aemp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Handshake makes an authenticated connection of nc (section 2 of the
// protocol). It does not matter which side opened nc: both do the same. On
// failure nc is closed, and the error is a [HandshakeError], except when the
// configuration is wrong.
//
// The handshake ends at the latest after [Config.HandshakeTimeout], or when ctx
// is done.
func Handshake(ctx context.Context, nc net.Conn, config Config) (*Conn, error) {
	cfg, err := config.withDefaults()
	if err != nil {
		nc.Close()
		return nil, err
	}
	h := newHandshake(&cfg, nc.RemoteAddr().String())

	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	// Whatever ends the handshake early does so by the deadline, so that one
	// mechanism frees what is blocked.
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	c, err := h.run(ctx, nc)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, h.fail(err)
	}
	return c, nil
}

// Dial connects to a node by TCP and does the handshake. The address is
// "host:port".
func Dial(ctx context.Context, address string, config Config) (*Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("aemp: %w", err)
	}
	return Handshake(ctx, nc, config)
}

// A handshake is the state of one side. Its methods take the peer's lines in
// their order, one for each phase; they know no connection and no clock.
type handshake struct {
	cfg   *Config
	phase Phase
	own   lines
	peer  lines
	local *Greeting
	// Known from the peer's greeting on.
	remote *Greeting
	data   bool // the connection is for something else than messages
	// Known from the peer's nonce on.
	tls     bool    // whether TLS is used
	method  string  // the authentication method that we send
	sending Framing // the framing that we send
	// Known at the end.
	receiving Framing
}

func newHandshake(cfg *Config, peerAddr string) *handshake {
	h := &handshake{cfg: cfg, phase: PhaseGreeting, local: cfg.greeting(peerAddr)}
	h.own = lines{greeting: h.local.String(), nonce: cfg.Nonce()}
	if cfg.greetingLine != "" {
		h.own.greeting = cfg.greetingLine
	}
	return h
}

// start returns what we send at once.
func (h *handshake) start() string { return h.own.greeting + "\n" + h.own.nonce + "\n" }

// greeted takes the peer's first line.
func (h *handshake) greeted(line string) error {
	h.peer.greeting = line
	g, err := ParseGreeting(line)
	if err != nil {
		return err
	}
	h.remote = g
	h.phase = PhaseNonce
	// Only messages need to know one peer from another.
	h.data = h.cfg.Protocol != protocolName || g.Protocol != protocolName
	switch {
	case g.Protocol != protocolName && g.Protocol != h.cfg.Protocol && !slices.Contains(h.cfg.Extensions, g.Protocol):
		return fmt.Errorf("%w: protocol %s is not served here", ErrGreeting, quoteLine(g.Protocol))
	case g.Version != protocolVersion:
		return fmt.Errorf("%w: we speak %d, the peer %d", ErrVersion, protocolVersion, g.Version)
	case line == h.own.greeting:
		return nil // the nonce will tell an echo from a twin
	case g.Node == h.cfg.NodeID && !h.data:
		return ErrSelf
	}
	for _, key := range []string{keyMesh, keyGlobal} {
		if major, _, _ := strings.Cut(g.Extra[key], "."); major != "" && major != "1" {
			return fmt.Errorf("%w: we speak %s 1, the peer %s", ErrVersion, key, quoteLine(g.Extra[key]))
		}
	}
	return nil
}

// challenged takes the peer's nonce, and decides what will be used.
func (h *handshake) challenged(line string) error {
	h.peer.nonce = line
	if h.peer == h.own {
		return ErrEcho
	}
	if h.remote.Node == h.cfg.NodeID && !h.data {
		return ErrSelf
	}
	h.tls = h.cfg.TLS != nil && h.local.TLS() && h.remote.TLS()
	h.phase = PhaseAuth
	var err error
	if h.method, err = chooseAuth(h.remote.Auths, h.tls, h.cfg.Secret != ""); err != nil {
		return err
	}
	for _, name := range h.remote.Framings {
		if h.sending = h.cfg.framing(name); h.sending != nil {
			return nil
		}
	}
	return fmt.Errorf("%w: peer understands %s", ErrNoFraming, quoteLine(strings.Join(h.remote.Framings, ",")))
}

// auth returns our authentication line.
func (h *handshake) auth() string {
	data := authData(h.method, []byte(h.cfg.Secret), h.own, h.peer)
	return authLine{h.method, data, h.sending.Name()}.String() + "\n"
}

// authenticated takes the peer's authentication line.
func (h *handshake) authenticated(line string) error {
	a, err := parseAuthLine(line)
	if err != nil {
		return err
	}
	if err := a.verify(h.cfg.Auths, []byte(h.cfg.Secret), h.tls, h.peer, h.own); err != nil {
		return err
	}
	if h.receiving = h.cfg.framing(a.framing); h.receiving == nil {
		return fmt.Errorf("%w: peer chose %s", ErrNoFraming, quoteLine(a.framing))
	}
	return nil
}

// tlsClient tells our TLS role: the side with the smaller nonce is the client.
func (h *handshake) tlsClient() bool { return h.own.nonce < h.peer.nonce }

func (h *handshake) fail(err error) error {
	e := &HandshakeError{Phase: h.phase, Err: err}
	if h.remote != nil {
		e.Peer = h.remote.Node
	}
	return e
}

// run carries the handshake out on a connection.
func (h *handshake) run(ctx context.Context, nc net.Conn) (c *Conn, err error) {
	w := newLineWriter(nc)
	plain := nc
	defer func() {
		// The writer may be stuck in the connection. Where our greeting tells
		// the other end why it is closed, it has to get there first. The
		// deadline ends that if nothing else does.
		if err != nil && !greetingTells(err) {
			plain.Close()
		}
		w.close()
	}()
	r := bufio.NewReaderSize(nc, maxLine)

	w.send(h.start())
	if err := readLine(r, h.greeted); err != nil {
		return nil, err
	}
	if err := readLine(r, h.challenged); err != nil {
		return nil, err
	}
	var proved func(context.Context) error
	if h.cfg.Admit != nil {
		if proved, err = h.cfg.Admit(h.remote); err != nil {
			return nil, err
		}
	}
	if h.tls {
		// TLS takes the connection over, so our plain lines must be out.
		if err := w.close(); err != nil {
			return nil, err
		}
		tc, err := h.startTLS(ctx, nc, r)
		if err != nil {
			return nil, err
		}
		nc, r, w = tc, bufio.NewReaderSize(tc, maxLine), newLineWriter(tc)
	}
	if proved == nil {
		w.send(h.auth())
	}
	if err := readLine(r, h.authenticated); err != nil {
		return nil, h.explain(err)
	}
	if proved != nil {
		if err := proved(ctx); err != nil {
			return nil, err
		}
		w.send(h.auth())
	}
	if err := w.close(); err != nil {
		return nil, err
	}
	early, _ := r.Peek(r.Buffered())
	return newConn(nc, h, early), nil
}

// greetingTells reports whether a peer learns from our greeting what is wrong:
// that it is ourselves, or a node that is connected, whom it has dialled, or that
// we have nothing in common.
func greetingTells(err error) bool {
	for _, cause := range []error{ErrSelf, ErrConnected, ErrNoAuth, ErrNoFraming, ErrVersion} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// startTLS goes over to TLS. The bytes that were read together with the
// peer's nonce belong to it.
func (h *handshake) startTLS(ctx context.Context, nc net.Conn, r *bufio.Reader) (net.Conn, error) {
	h.phase = PhaseTLS
	var tc *tls.Conn
	if buffered := (bufferedConn{nc, r}); h.tlsClient() {
		tc = tls.Client(buffered, h.cfg.TLS)
	} else {
		tc = tls.Server(buffered, h.cfg.TLS)
	}
	// The deadline ends it; if TLS watched the context too, it could be the
	// first to fail, and hide the cause.
	if err := tc.HandshakeContext(context.WithoutCancel(ctx)); err != nil {
		return nil, h.explain(err)
	}
	h.phase = PhaseAuth
	return &tlsConn{Conn: tc}, nil
}

// explain adds what is known of a connection that failed in the phases that end
// in an answer to us. To close it is all that Perl nodes do when they refuse a
// certificate or a secret.
func (h *handshake) explain(err error) error {
	// A TLS 1.3 client is through with TLS before its certificate is looked at,
	// and so hears of a refusal later.
	alert := new(net.OpError)
	fromTLS := h.phase == PhaseTLS || errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error")
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		hint := "are the secrets the same?"
		if h.phase == PhaseTLS || h.method == authTLSSHA3 || h.method == authTLSMD6 {
			hint = "does it trust our certificate?"
		}
		err = fmt.Errorf("%w: the peer closed the connection; %s", err, hint)
	}
	if fromTLS {
		err = fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return err
}

// readLine reads one line, without its end, and hands it to take.
func readLine(r *bufio.Reader, take func(string) error) error {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return ErrLineTooLong
	case errors.Is(err, io.EOF) && len(line) > 0:
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	return take(strings.TrimSuffix(string(line[:len(line)-1]), "\r"))
}

// A lineWriter sends lines from a goroutine of its own, because both sides
// send at once and neither may wait for the other to read.
type lineWriter struct {
	lines chan string // sent by run, received by writeLines, closed by close
	done  chan error  // the result of writeLines
	err   error
}

func newLineWriter(w io.Writer) *lineWriter {
	// There are two sends at most, so that none blocks.
	lw := &lineWriter{lines: make(chan string, 2), done: make(chan error, 1)}
	go writeLines(w, lw.lines, lw.done)
	return lw
}

func writeLines(w io.Writer, lines <-chan string, done chan<- error) {
	var err error
	for line := range lines {
		if err == nil {
			_, err = io.WriteString(w, line)
		}
	}
	done <- err
}

func (w *lineWriter) send(line string) { w.lines <- line }

// close waits until all is written. It may be called again.
func (w *lineWriter) close() error {
	if w.lines != nil {
		close(w.lines)
		w.lines = nil
		w.err = <-w.done
	}
	return w.err
}

// A bufferedConn reads through a buffer that already holds some of the input.
type bufferedConn struct {
	net.Conn
	r io.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite is that of the connection below, if it has one.
func (c bufferedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
