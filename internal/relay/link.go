package relay

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/serial"
)

// The requests that are called otherwise in the other generation, and the
// prefix of those that only generation 2 has (section 5 of the protocol).
const (
	requestKillOld = "kil"
	requestKillNew = "kil1"
	meshPrefix     = "g_"
)

// When one side has ended, the other has so long to take what is on its way.
const linger = 5 * time.Second

// A Link connects a node of generation 1 with one of generation 2.
type Link struct {
	Old, New aemp.NodeID
	// Data is of whoever uses the relay, who sets it when the link opens.
	Data any

	relay    *Relay
	old, new *aemp.Conn
	say      serial.Queue // what we say to the old one ourselves
}

// Tell sends a message of ours to a port of the old node, as if it came from the
// new one. It does not wait.
func (l *Link) Tell(port string, m ...any) {
	l.say.Run(func() {
		if err := l.old.Send(port, m...); err != nil {
			l.close()
		}
	})
}

func (l *Link) close() {
	l.old.Close()
	l.new.Close()
}

// run carries packets over until both directions have ended. Who does not read
// is not read from for long.
func (l *Link) run() {
	l.relay.cfg.Log.Info("relay connects", "old", l.Old, "new", l.New)
	var both sync.WaitGroup
	var err error
	var once sync.Once
	carry := func(from, to *aemp.Conn, fromOld bool) {
		e := l.carry(from, to, fromOld)
		once.Do(func() { err = e })
		if !errors.Is(e, io.EOF) || to.CloseWrite() != nil {
			l.close()
			return
		}
		// The other may still have something to say, or may not read.
		to.NetConn().SetDeadline(time.Now().Add(linger))
		from.NetConn().SetDeadline(time.Now().Add(linger))
	}
	both.Go(func() { carry(l.old, l.new, true) })
	carry(l.new, l.old, false)
	both.Wait()
	l.close()
	l.relay.cfg.Log.Info("relay has ended", "old", l.Old, "new", l.New, "err", err)
}

// carry carries one direction over.
func (l *Link) carry(from, to *aemp.Conn, fromOld bool) error {
	for {
		port, m, err := from.Receive()
		if err != nil {
			return err
		}
		if port == "" && l.translate(m, fromOld) || l.relay.cfg.Intercept(l, fromOld, port, m) {
			continue
		}
		err = to.Send(port, m...)
		if errors.Is(err, aemp.ErrUnsupportedValue) {
			// The framings there cannot say it; a hole must not be silent.
			l.relay.cfg.Log.Error("relay cannot carry a message", "from", from.Remote().Node, "to", to.Remote().Node, "port", port, "err", err)
		}
		if err != nil {
			return err
		}
	}
}

// translate changes a request to what the other side calls it, and returns
// whether it has no use there.
func (l *Link) translate(m aemp.Message, fromOld bool) (useless bool) {
	tag, _ := m.Tag()
	switch {
	case fromOld && tag == requestKillOld:
		m[0] = requestKillNew
	case !fromOld && tag == requestKillNew:
		m[0] = requestKillOld
	case !fromOld && strings.HasPrefix(tag, meshPrefix):
		return true
	}
	return false
}
