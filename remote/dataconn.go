package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// Data connections: plain sockets between two nodes, made over the same
// listeners, with the same secret and TLS (section 8 of the protocol).

// The requests by which they are made, which are functions in Perl. First of
// all the asker says what is to come; then it connects, or has itself connected
// to when only it listens.
const (
	requestExpect  = "AnyEvent::MP::DataConn::_expect"  // id, asker's port, timeout, function, arguments
	requestConnect = "AnyEvent::MP::DataConn::_connect" // id, node to connect to
	reasonDataConn = "AnyEvent::MP::DataConn"           // kind of the reason that kills the asker's port
)

// ErrDataConn: a data connection could not be made. The text tells why.
var ErrDataConn = errors.New("data connection failed")

// A DataFunc takes a data connection that another node has asked for, with the
// arguments that it gave. It runs in a goroutine of its own, and owns the
// connection.
type DataFunc func(conn net.Conn, from actor.NodeID, args actor.Message)

// HandleData makes a function known under a name by which other nodes can ask
// for data connections. It replaces a former one of that name; nil removes it.
func (n *Node) HandleData(function string, f DataFunc) {
	n.data.mu.Lock()
	defer n.data.mu.Unlock()
	if f == nil {
		delete(n.data.functions, function)
		return
	}
	if n.data.functions == nil {
		n.data.functions = make(map[string]DataFunc)
	}
	n.data.functions[function] = f
}

// DialData makes a data connection to a node, where the function of that name
// gets the other end. (AEMP: AnyEvent::MP::DataConn::connect_to.) One of the
// two nodes must listen, and the other must know its address
// ([Config.Resolve]).
//
// The time it may take is that of ctx, or [Config.MonitorTimeout] if ctx has no
// deadline. If it fails, nothing is called there, and the error wraps
// [ErrDataConn] or that of ctx.
func (n *Node) DialData(ctx context.Context, node actor.NodeID, function string, args ...any) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.MonitorTimeout)
	defer cancel()
	conn, err := n.dialData(ctx, node, function, args)
	if err != nil {
		return nil, fmt.Errorf("remote: data connection to %s: %w", node, err)
	}
	return conn, nil
}

func (n *Node) dialData(ctx context.Context, node actor.NodeID, function string, args actor.Message) (net.Conn, error) {
	// The port of the asker hears that the other side is ready, and is killed
	// by it when something goes wrong.
	ready := make(chan struct{})
	failed := make(chan actor.Reason, 1)
	port := n.sys.Port(func(c *actor.Context) error {
		c.Receive("ready", func(c *actor.Context, _ actor.Message) error {
			close(ready)
			c.Receive("ready", nil) // once is enough
			c.Default(func(*actor.Context, actor.Message) error { return nil })
			return nil
		})
		return nil
	})
	defer n.sys.Kill(port)
	for _, watched := range []actor.PortID{port, node.NodePort()} {
		defer n.sys.Monitor(watched, func(r actor.Reason) {
			select {
			case failed <- r:
			default:
			}
		})()
	}

	id := string(n.ID()) + "/" + rand.Text()
	deadline, _ := ctx.Deadline()
	arrived := make(chan net.Conn)
	n.data.expect(id, func(conn net.Conn) {
		select {
		case arrived <- conn:
		case <-ctx.Done():
			conn.Close()
		}
	})
	defer n.data.forget(id)

	seconds := time.Until(deadline).Seconds()
	request := append(actor.Message{requestExpect, id, string(port), seconds, function}, args...)
	if err := n.sys.Send(node.NodePort(), request...); err != nil {
		return nil, err
	}
	if err := n.sys.Send(node.NodePort(), "snd", string(port), "ready"); err != nil {
		return nil, err
	}

	select {
	case <-ready:
	case reason := <-failed:
		return nil, fmt.Errorf("%w: %s", ErrDataConn, reason)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-n.ctx.Done():
		return nil, ErrClosed
	}
	conn, known, err := n.openData(ctx, node, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDataConn, err)
	case known:
		return conn, nil
	}
	// Only the other side can dial.
	if err := n.sys.Send(node.NodePort(), requestConnect, id, string(n.ID())); err != nil {
		return nil, err
	}
	select {
	case conn := <-arrived:
		return conn, nil
	case reason := <-failed:
		return nil, fmt.Errorf("%w: %s", ErrDataConn, reason)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-n.ctx.Done():
		return nil, ErrClosed
	}
}

// openData dials a node's listener for a data connection. It returns whether an
// address of the node is known.
func (n *Node) openData(ctx context.Context, node actor.NodeID, id string) (conn net.Conn, known bool, err error) {
	var addresses []string
	if n.cfg.Resolve != nil {
		if addresses, err = n.cfg.Resolve(ctx, node); err != nil {
			return nil, false, err
		}
	}
	for _, address := range addresses {
		var nc net.Conn
		if nc, err = n.cfg.Dial(ctx, address); err != nil {
			continue
		}
		cfg := n.cfg.handshakeConfig()
		cfg.Protocol = aemp.ProtocolDataConn
		cfg.Extra = map[string]string{aemp.KeyDataConnID: id}
		var c *aemp.Conn
		if c, err = aemp.Handshake(ctx, nc, cfg); err == nil {
			return c.Hijack(), true, nil
		}
	}
	return nil, len(addresses) > 0, err
}

// dataConns are the data connections that are to come.
type dataConns struct {
	mu        sync.Mutex
	functions map[string]DataFunc
	expected  map[string]func(net.Conn) // by the ID of the connection
}

func (d *dataConns) expect(id string, take func(net.Conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expected == nil {
		d.expected = make(map[string]func(net.Conn))
	}
	d.expected[id] = take
}

func (d *dataConns) expects(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expected[id] != nil
}

// forget returns whether the connection was still to come.
func (d *dataConns) forget(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.expected[id]
	delete(d.expected, id)
	return ok
}

// take hands a connection to whoever expects it.
func (d *dataConns) take(id string, conn net.Conn) error {
	d.mu.Lock()
	take := d.expected[id]
	delete(d.expected, id)
	d.mu.Unlock()
	if take == nil {
		conn.Close()
		return fmt.Errorf("%w: nobody expects %q", ErrDataConn, id)
	}
	take(conn)
	return nil
}

// connected takes a connection that a peer has opened.
func (d *dataConns) connected(c *aemp.Conn) error {
	return d.take(c.Remote().Extra[aemp.KeyDataConnID], c.Hijack())
}

// expectData carries out the request to expect a data connection.
func (n *Node) expectData(from actor.NodeID, args actor.Message) {
	var id, function string
	var port actor.PortID
	var seconds float64
	if err := args.Scan(&id, &port, &seconds, &function); err != nil {
		n.log.Warn("bad request for a data connection", "peer", from, "err", err)
		return
	}
	n.data.mu.Lock()
	f := n.data.functions[function]
	n.data.mu.Unlock()
	switch {
	case n.cfg.Allow != nil && !n.cfg.Allow(from, function):
		n.dataFailed(port, fmt.Sprintf("not allowed: %s", function))
		return
	case f == nil:
		n.dataFailed(port, fmt.Sprintf("no such function: %s", function))
		return
	}
	timeout := n.cfg.MonitorTimeout
	if seconds > 0 && seconds < timeout.Seconds() {
		timeout = time.Duration(seconds * float64(time.Second))
	}
	timer := time.AfterFunc(timeout, func() {
		if n.data.forget(id) {
			n.dataFailed(port, fmt.Sprintf("%s: no connection within %v", n.ID(), timeout))
		}
	})
	// A node that closes must not wait for the timer.
	stop := context.AfterFunc(n.ctx, func() { timer.Stop() })
	n.data.expect(id, func(conn net.Conn) {
		timer.Stop()
		stop()
		go f(conn, from, args[4:])
	})
}

// connectData carries out the request to connect, which the asker makes when it
// is the one that can be connected to.
func (n *Node) connectData(from actor.NodeID, args actor.Message) {
	var id string
	var node actor.NodeID
	if err := args.Scan(&id, &node); err != nil {
		n.log.Warn("bad request for a data connection", "peer", from, "err", err)
		return
	}
	if !n.data.expects(id) {
		return // it was refused, or is too late: the asker has been told
	}
	n.spawn(func() {
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.MonitorTimeout)
		defer cancel()
		conn, known, err := n.openData(ctx, node, id)
		switch {
		case err != nil || !known:
			// The asker's timeout tells it; it may have better luck meanwhile.
			n.log.Warn("data connection cannot be made", "peer", node, "address known", known, "err", err)
		default:
			if err := n.data.take(id, conn); err != nil {
				n.log.Warn("data connection came too late", "peer", node, "err", err)
			}
		}
	})
}

// dataFailed kills the port of the asker.
func (n *Node) dataFailed(port actor.PortID, text string) {
	if err := n.sys.Kill(port, reasonDataConn, text); err != nil {
		n.log.Warn("asker of a data connection cannot be told", "port", port, "err", err)
	}
}
