package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A seed is an entry of Config.Seeds: one or several addresses, of one node or
// several. Each address has a loop that keeps a connection to whoever is there.
// Where host names are among them, what they stand for is looked up time and
// again.
type seed struct {
	n     *Node
	entry string
	hosts []hostPort

	mu        sync.Mutex
	addresses map[string]*seedAddress
}

// A hostPort is a part of an entry.
type hostPort struct{ host, port string }

func (h hostPort) String() string { return net.JoinHostPort(h.host, h.port) }

// isName reports whether the host has to be looked up.
func (h hostPort) isName() bool {
	_, err := netip.ParseAddr(h.host)
	return h.host != "" && err != nil
}

// A seedAddress is an address of a seed, for as long as its loop runs.
type seedAddress struct {
	wanted bool // names still stand for it
	state  seedState
	err    error  // why it failed last
	told   string // which of its failures the log knows of
}

// The states of a seedAddress.
type seedState int

const (
	seedNew    seedState = iota // it was not tried yet, or was up before
	seedFailed                  // the last attempt failed
	seedUp                      // the node there is connected
	seedSelf                    // it is ourselves
)

// parseSeed takes an entry apart.
func parseSeed(entry string) (hosts []hostPort, err error) {
	for part := range strings.SplitSeq(entry, ",") {
		host, port, err := net.SplitHostPort(strings.TrimSpace(part))
		if err == nil && port == "" {
			err = &net.AddrError{Err: "missing port in address", Addr: part}
		}
		if err != nil {
			return nil, fmt.Errorf("seed %q: %w", entry, err)
		}
		hosts = append(hosts, hostPort{host, port})
	}
	return hosts, nil
}

// The delays between attempts to reach a seed (section 6 of the protocol): they
// start at 0.6 to 1.2 seconds, double, and stop growing when they reach the
// monitor timeout.
const seedDelay = 600 * time.Millisecond

// A backoff says how long to wait before the next attempt.
type backoff struct{ least, most time.Duration }

func (n *Node) seedBackoff() backoff { return backoff{seedDelay, n.cfg.MonitorTimeout} }

// next returns a delay at random between the least one and twice that, so that
// those who have lost the same node do not all come back at the same moment.
func (b *backoff) next() time.Duration {
	least := min(b.least, b.most/2)
	b.least = 2 * least
	return least + rand.N(max(least, 1))
}

// run looks up what the entry stands for: for ever if there are names in it.
func (s *seed) run() {
	delay := s.n.seedBackoff()
	known := make(map[hostPort][]string)
	var told string
	for {
		addresses, names, err := s.resolve(known)
		s.follow(addresses)
		switch {
		case err == nil:
			told = ""
		case err.Error() != told && s.n.ctx.Err() == nil:
			told = err.Error()
			s.n.log.Warn("seed cannot be looked up", "address", s.entry, "err", err)
			s.n.publish(SeedFailed{s.entry, err})
		}
		if !names || !s.n.sleep(delay.next()) {
			return
		}
	}
}

// resolve returns the addresses that the entry stands for now, and whether names
// are among its parts, so that they may change. A name that cannot be looked up
// stands for what is known of it.
func (s *seed) resolve(known map[hostPort][]string) (addresses []string, names bool, err error) {
	ctx, cancel := context.WithTimeout(s.n.ctx, s.n.cfg.MonitorTimeout)
	defer cancel()
	for _, h := range s.hosts {
		if s.n.cfg.LookupHost == nil || !h.isName() {
			addresses = append(addresses, h.String())
			continue
		}
		names = true
		found, lookupErr := s.n.cfg.LookupHost(ctx, h.host)
		switch {
		case lookupErr != nil:
		case len(found) == 0:
			lookupErr = fmt.Errorf("host %q has no address", h.host)
		default:
			known[h] = found
		}
		err = errors.Join(err, lookupErr)
		for _, host := range known[h] {
			addresses = append(addresses, hostPort{host, h.port}.String())
		}
	}
	return addresses, names, err
}

// follow sees to it that there is a loop for each of the addresses. The others
// end when they have lost their node.
func (s *seed) follow(addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, a := range s.addresses {
		a.wanted = false
		if a.state == seedSelf && !slices.Contains(addresses, address) {
			delete(s.addresses, address) // its loop has ended
		}
	}
	for _, address := range addresses {
		a := s.addresses[address]
		if a == nil {
			a = &seedAddress{}
			s.addresses[address] = a
			s.n.spawn(func() { s.loop(address) })
		}
		a.wanted = true
	}
}

// isWanted reports whether there is still use for the loop of an address, which
// ends otherwise.
func (s *seed) isWanted(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.addresses[address].wanted {
		delete(s.addresses, address)
		return false
	}
	return s.n.ctx.Err() == nil
}

// loop keeps a connection to the node at an address, whoever that is, until the
// node closes or it turns out to be ourselves.
func (s *seed) loop(address string) {
	n := s.n
	delay := n.seedBackoff()
	for s.isWanted(address) {
		var coming actor.NodeID // may connect to us before our next attempt
		id, err := n.dialSeed(address)
		switch {
		case errors.Is(err, aemp.ErrSelf):
			n.log.Info("seed is this node", "address", address)
			s.set(address, seedSelf, nil)
			n.publish(SeedUp{address, n.ID()})
			return
		case err == nil || errors.Is(err, aemp.ErrConnected) || hungUp(err) && n.linkWith(id) != nil:
			// When both have dialled at once, one of the connections ends with
			// an error, and the other is the one that counts.
			delay = n.seedBackoff()
			// Before it is told of: that takes time, and another link may come up
			// meanwhile, which is to be told of anew.
			up := n.linkWith(id)
			s.set(address, seedUp, nil)
			n.publish(SeedUp{address, id})
			if up != nil {
				n.waitWhile(id, up, nil)
			}
			s.set(address, seedNew, nil)
			coming = id
		case hungUp(err) && n.isComing(id): // as above, but it is not decided yet
			coming = id
		default:
			s.set(address, seedFailed, err)
		}
		timer := time.NewTimer(delay.next())
		n.waitWhile(coming, nil, timer.C)
		timer.Stop()
	}
}

// dialSeed connects to an address. An attempt takes no longer than the monitor
// timeout, even if nobody answers.
func (n *Node) dialSeed(address string) (actor.NodeID, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.MonitorTimeout)
	defer cancel()
	return n.dial(ctx, address)
}

// set notes what has become of an address, and tells of failures: when no address
// of the seed can be reached, once for each cause.
func (s *seed) set(address string, state seedState, err error) {
	s.mu.Lock()
	a := s.addresses[address]
	a.state, a.err = state, err
	failures := s.untold()
	s.mu.Unlock()
	if len(failures) == 0 || s.n.ctx.Err() != nil {
		return
	}
	var errs []error
	for _, address := range slices.Sorted(maps.Keys(failures)) {
		s.n.logHandshake("seed cannot be reached", address, failures[address])
		errs = append(errs, failures[address])
	}
	s.n.publish(SeedFailed{s.entry, errors.Join(errs...)})
}

// untold returns by address the failures that are worth telling and were not
// told of. That one address fails is not while another is in use: a name may
// stand for one of IPv6 where there is none. The caller holds the lock.
func (s *seed) untold() map[string]error {
	for _, a := range s.addresses {
		if a.state == seedUp || a.state == seedSelf {
			for _, a := range s.addresses {
				a.told = ""
			}
			return nil
		}
	}
	failures := make(map[string]error)
	for address, a := range s.addresses {
		switch {
		case !a.wanted:
		case a.state == seedNew:
			return nil // it is being tried
		case failure(a.err) != a.told:
			failures[address] = a.err
		}
	}
	for address, err := range failures {
		s.addresses[address].told = failure(err)
	}
	return failures
}

// failure is what is worth a line of the log when a seed cannot be reached: not
// which side of TLS has found out, and not from which port of ours it was
// tried.
func failure(err error) string {
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.Is(err, aemp.ErrTLS):
		return aemp.ErrTLS.Error()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// linkWith returns the link with a node; nil if there is none, as with one whose ID
// is not known.
func (n *Node) linkWith(id actor.NodeID) *link {
	p := n.knownPeer(id)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// isComing reports whether a node is connected, or a handshake with it is in
// progress.
func (n *Node) isComing(id actor.NodeID) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	p := n.peers[id]
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil || p.handshakes > 0
}

// waitWhile waits as long as that is the link with a node; with nil, as long as
// there is none, and at most until there is something to be had from the channel.
// It ends when our node closes.
func (n *Node) waitWhile(id actor.NodeID, l *link, timeout <-chan time.Time) {
	for {
		p := n.knownPeer(id)
		var now *link
		var changed <-chan any
		if p != nil {
			p.mu.Lock()
			now = p.link
			if !p.gone {
				changed = p.changes()
			}
			p.mu.Unlock()
		}
		if now != l {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			return
		case <-n.ctx.Done():
			return
		}
	}
}
