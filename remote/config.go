package remote

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// Config says how a node takes part in the mesh. Secret or TLS is needed, here
// or in the profile; every other zero value means the default.
type Config struct {
	// Profile names a profile of the user's configuration file and makes the
	// node take what that file and the environment say: NodeID, Secret, TLS,
	// Listen, Seeds, Framings, Auths, ConnectInterval, MonitorTimeout and Secure.
	// Package [profile] tells how. What is set there wins over the fields here,
	// which are defaults; Override turns that round. Where neither says anything,
	// the node ID is the profile's name and a random suffix, and the node listens
	// on a free port of every address. A profile that does not exist has the
	// file's defaults, and [profile.HostName] is the customary one for programs
	// that need none of their own. Empty means that no file is read.
	Profile string
	// ProfileFile is the configuration file. Empty means [profile.Path].
	ProfileFile string
	// Override makes the fields here, as far as they are not zero, win over the
	// profile.
	Override bool
	// NodeID is the name of the node. One that ends in "/" gets a random
	// suffix, so that many processes can share a configuration. Empty means
	// the host name and a random suffix.
	NodeID actor.NodeID
	// Secret is what all nodes of the mesh share.
	Secret string
	// TLS is the certificate, for a mesh that has one; see
	// [aemp.NewTLSConfig].
	TLS *tls.Config
	// Listen are the addresses to listen on, "host:port". Port 0 is a free
	// one; an empty host is every address. Nil means not to listen: then only
	// this node can make connections.
	Listen []string
	// Listeners are listeners that exist already, used beside those of Listen:
	// a socket that was inherited, or a network that is not TCP. They belong
	// to the node as soon as Start has succeeded; Close closes them.
	Listeners []net.Listener
	// Seeds are addresses of nodes to be connected with, "host:port", whatever
	// their names are. They are tried for ever, after 0.6 to 1.2 seconds first
	// and at most after the monitor timeout. One of them may be this node.
	//
	// An entry may also be several addresses with commas between, or a host name
	// that stands for several, which is looked up anew now and then. Each of
	// them is tried, so that one name can be that of all seeds; but while one is
	// connected, no word is lost about the others.
	Seeds []string
	// LookupHost returns the addresses of a host name among the seeds, as
	// [net.Resolver.LookupHost] does. Nil means to ask the system; or, if there
	// is a Dial, that this gets the names as they are.
	LookupHost func(ctx context.Context, host string) ([]string, error)
	// Resolve returns the addresses at which a node listens, best first. It
	// is asked when there is something to be sent to a node that is not
	// connected. Nil, or no address, means to wait for the node to connect to
	// us.
	Resolve func(ctx context.Context, node actor.NodeID) ([]string, error)
	// Dial opens a connection to an address. Nil means TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Framings are the framings offered and sent, best first. Nil means
	// [aemp.DefaultFramings].
	Framings []aemp.Framing
	// Auths are the authentication methods that peers may use, best first, as in
	// [aemp.Config]. Nil means all.
	Auths []string
	// Limits bound the messages of peers.
	Limits aemp.Limits
	// PendingBytes is the high-water mark of what waits to be sent to a node,
	// in bytes: past it, senders wait. More is no faster; it lets whoever sends
	// little wait behind those who send much. Zero means 256 KiB.
	PendingBytes int
	// ConnectInterval is how long a message waits for a node whose address is
	// not known. Zero means 2 seconds.
	ConnectInterval time.Duration
	// MonitorTimeout bounds how long a message waits for a connection, a
	// handshake takes, and a sender waits for a peer that is slow to read.
	// Zero means 30 seconds.
	MonitorTimeout time.Duration
	// SilenceTimeout is after how much silence a peer is taken for dead or
	// frozen, if it has promised to send something more often than that. Nodes
	// of ours do; of two that are connected, the smaller timeout holds. It is
	// told in whole seconds, and silence is noticed in the last quarter of it.
	// Zero means the monitor timeout; a negative value means to promise and
	// expect nothing.
	SilenceTimeout time.Duration
	// MaxHandshakes bounds the handshakes in progress on connections that
	// others opened, for each listener; more have to wait. Zero means 256.
	MaxHandshakes int
	// MaxHandshakesPerAddress bounds those from one IP address; more
	// connections from there are closed. Zero means 64.
	MaxHandshakesPerAddress int
	// CloseTimeout is how long Close gives the peers to take what was sent.
	// Zero means 1 second.
	CloseTimeout time.Duration
	// Secure refuses all requests of other nodes to spawn, to call functions,
	// and to make data connections. Messages, monitors and kills go on.
	Secure bool
	// Allow tells whether a node may do so with the function of that name. Nil
	// allows all, unless Secure is set. It is called by the goroutine that reads
	// the connection, and must not wait.
	Allow func(node actor.NodeID, function string) bool
}

// withDefaults returns a copy of c that is complete.
func (c Config) withDefaults() Config {
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil || actor.NodeID(host).Validate() != nil {
			host = "node"
		}
		c.NodeID = actor.NodeID(host + "/")
	}
	if strings.HasSuffix(string(c.NodeID), "/") {
		c.NodeID += actor.NodeID(rand.Text()[:10])
	}
	if c.PendingBytes == 0 {
		c.PendingBytes = 256 << 10
	}
	if c.ConnectInterval == 0 {
		c.ConnectInterval = 2 * time.Second
	}
	if c.MonitorTimeout == 0 {
		c.MonitorTimeout = 30 * time.Second
	}
	if c.SilenceTimeout == 0 {
		c.SilenceTimeout = c.MonitorTimeout
	}
	if c.MaxHandshakes == 0 {
		c.MaxHandshakes = 256
	}
	if c.MaxHandshakesPerAddress == 0 {
		c.MaxHandshakesPerAddress = 64
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = time.Second
	}
	if c.Secure {
		c.Allow = func(actor.NodeID, string) bool { return false }
	}
	if c.Dial == nil {
		if c.LookupHost == nil {
			c.LookupHost = net.DefaultResolver.LookupHost
		}
		d := net.Dialer{KeepAliveConfig: keepAlive, Control: setUserTimeout(c.MonitorTimeout)}
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	return c
}

// mostPending is how many bytes may wait to be sent to a node altogether, with
// the requests and answers that must not wait for others.
func (c Config) mostPending() int { return max(2*c.PendingBytes, 8<<20) }

// silenceSeconds is SilenceTimeout as the greeting tells it.
func (c Config) silenceSeconds() int {
	if c.SilenceTimeout < 0 {
		return 0
	}
	return max(1, int(c.SilenceTimeout/time.Second))
}

// validate names the field that is wrong.
func (c Config) validate() error {
	if err := c.NodeID.Validate(); err != nil {
		return fmt.Errorf("remote: Config.NodeID: %w", err)
	}
	for name, negative := range map[string]bool{
		"PendingBytes":            c.PendingBytes < 0,
		"ConnectInterval":         c.ConnectInterval < 0,
		"MonitorTimeout":          c.MonitorTimeout < 0,
		"CloseTimeout":            c.CloseTimeout < 0,
		"MaxHandshakes":           c.MaxHandshakes < 0,
		"MaxHandshakesPerAddress": c.MaxHandshakesPerAddress < 0,
	} {
		if negative {
			return fmt.Errorf("remote: Config.%s is negative", name)
		}
	}
	for _, entry := range c.Seeds {
		if _, err := parseSeed(entry); err != nil {
			return fmt.Errorf("remote: Config.Seeds: %w", err)
		}
	}
	return nil
}

// keepAlive lets the kernel notice a host that is gone behind an idle link.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

// handshakeConfig returns what connections are made with.
func (c Config) handshakeConfig() aemp.Config {
	extra := make(map[string]string)
	if seconds := c.silenceSeconds(); seconds > 0 {
		extra[aemp.KeyTimeout] = strconv.Itoa(seconds)
	}
	return aemp.Config{
		Extra:            extra,
		NodeID:           c.NodeID,
		Secret:           c.Secret,
		TLS:              c.TLS,
		Framings:         c.Framings,
		Auths:            c.Auths,
		Limits:           c.Limits,
		HandshakeTimeout: c.MonitorTimeout,
	}
}
