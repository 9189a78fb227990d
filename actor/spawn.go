package actor

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/portmesh/portmesh/aemp"
)

// A SpawnFunc makes a port of a new one: it runs in the port, with the
// arguments that the spawner gave, and sets receivers. If it fails, or sets
// none, there is no such port.
type SpawnFunc func(c *Context, args Message) error

// A CallFunc is a function that is called by a message to the node port, with
// the arguments that the message holds. Such functions are called one after
// another; what takes long belongs in a port. An error goes to the log.
type CallFunc func(from NodeID, args Message) error

// A functionTable holds the functions that messages can name.
type functionTable struct {
	mu    sync.RWMutex
	spawn map[string]spawnable
	call  map[string]CallFunc
}

type spawnable struct {
	init SpawnFunc
	opts []PortOption
}

// Register makes a function known under a name by which it can be spawned on
// this system, from any node. Any name will do; a Perl program would call it
// "MyApp::Worker::init". The options are those of the ports that are made of it.
// The error wraps [ErrNameTaken].
func (s *System) Register(name string, f SpawnFunc, opts ...PortOption) error {
	return register(&s.functions.mu, &s.functions.spawn, name, spawnable{f, opts})
}

// Unregister makes the functions of that name unknown again. Ports that were
// made of them live on.
func (s *System) Unregister(name string) {
	s.functions.mu.Lock()
	defer s.functions.mu.Unlock()
	delete(s.functions.spawn, name)
	delete(s.functions.call, name)
}

// RegisterCall makes a function known that is called by messages to the node
// port, from any node. (AEMP: snd_to_func.) The error wraps [ErrNameTaken].
func (s *System) RegisterCall(name string, f CallFunc) error {
	return register(&s.functions.mu, &s.functions.call, name, f)
}

func register[F any](mu *sync.RWMutex, table *map[string]F, name string, f F) error {
	mu.Lock()
	defer mu.Unlock()
	if _, taken := (*table)[name]; taken {
		return fmt.Errorf("actor: function %q: %w", name, ErrNameTaken)
	}
	if *table == nil {
		*table = make(map[string]F)
	}
	(*table)[name] = f
	return nil
}

func (t *functionTable) lookup(name string) (spawnable, CallFunc) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.spawn[name], t.call[name]
}

// requestSpawn is the request by which a port is spawned. The name is that of
// the function which does it in Perl.
const requestSpawn = "AnyEvent::MP::_spawn"

// Spawn makes a port on a node, which may be this one or a Perl node, by
// calling the function that is registered there under that name. (AEMP:
// spawn.) It does not wait: the ID is valid at once, and can be sent to and
// monitored. Whether the port came to be is for a monitor to tell.
func (s *System) Spawn(node NodeID, function string, args ...any) PortID {
	if s.isLocal(node) {
		port := s.actors.ProcessRegistry.NextId()
		s.spawn(port, function, append(Message(nil), args...))
		return s.Node().Port(port)
	}
	// The name is ours to choose, among the names of another node: it must
	// not be one of its own, nor of another spawner.
	port := node.Port(spawnCookie + strconv.FormatUint(spawnCounter.Add(1), 36))
	msg := append(Message{requestSpawn, port.Name(), function}, args...)
	if err := s.Send(node.NodePort(), msg...); err != nil {
		s.log.Warn("spawn request cannot be sent", "node", node, "function", function, "err", err)
	}
	return port
}

var (
	// spawnCookie tells the ports spawned by this process from all others.
	// The names of a node's own ports begin with a '$'; those of Perl's have
	// no '-'.
	spawnCookie  = rand.Text()[:16] + "-"
	spawnCounter atomic.Uint64
)

// spawn makes the local port that somebody asked for.
func (s *System) spawn(name, function string, args Message) {
	f, _ := s.functions.lookup(function)
	if f.init == nil {
		// Perl nodes spawn their mesh's own functions on everybody.
		level := slog.LevelWarn
		if strings.HasPrefix(function, "AnyEvent::MP::") {
			level = slog.LevelDebug
		}
		s.log.Log(context.Background(), level, "no such function to spawn", "function", function, "port", name)
		return
	}
	setup := func(c *Context) error {
		if err := f.init(c, args); err != nil {
			return fmt.Errorf("%s: %w", function, err)
		}
		if c.tags == nil && c.fallback == nil {
			c.Kill(aemp.ReasonNoSuchPort, function+" set no receiver", c.Self())
		}
		return nil
	}
	if _, err := s.NamedPort(name, setup, f.opts...); err != nil {
		s.log.Warn("port cannot be spawned", "function", function, "err", err)
	}
}
