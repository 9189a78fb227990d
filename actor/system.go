package actor

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/serial"
)

// The names of the protocol, under which this package uses them.
type (
	// A NodeID names a node; see [aemp.NodeID].
	NodeID = aemp.NodeID
	// A PortID names a port anywhere in the mesh; see [aemp.PortID].
	PortID = aemp.PortID
	// A Message is a list of values, its tag first; see [aemp.Message].
	Message = aemp.Message
	// A Reason tells why a port died; see [aemp.Reason].
	Reason = aemp.Reason
)

// LocalNode is the node ID of a system that is no node of a mesh. It always
// names the system itself, also after it has got a proper ID.
const LocalNode NodeID = "nonhost"

// Errors of this package. What a method returns may wrap them.
var (
	// ErrNoNetwork: the port is on another node, and the system is not
	// connected to any.
	ErrNoNetwork = errors.New("no network: the system is not a node")
	// ErrNameTaken: there is already a port or function of that name.
	ErrNameTaken = errors.New("name is taken")
	// ErrAttached: the system is already a node.
	ErrAttached = errors.New("the system is already a node")
)

// A System holds the ports of one process, on a protoactor-go actor system.
// All its methods may be called by any goroutine at any time.
type System struct {
	// Immutable.
	actors     *proto.ActorSystem
	log        *slog.Logger
	dispatcher *Dispatcher
	mailbox    *Mailbox // of ports without one of their own

	net atomic.Pointer[network]

	cradles     sync.Pool // of *cradle
	restarting  sync.Map  // ports that are: *proto.PID to *port
	routes      routeTable
	shortcuts   shortcutTable
	tags        tagTable
	functions   functionTable
	handlers    sync.Map // of requests to the node port: string to RequestHandler
	expressions sync.Map // answers to eval: string to EvalFunc

	local     monitorTable // on our own ports, under LocalNode
	remote    monitorTable // on the ports of other nodes
	watches   watchTable
	watcher   *watcher
	callbacks serial.Queue
}

// An Option changes what [NewSystem] makes.
type Option func(*options)

type options struct {
	logger *slog.Logger
	proto  []proto.ConfigOption
}

// WithLogger sets the logger for the system and for protoactor-go below it.
// Without it, warnings and errors go to [slog.Default].
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithProtoOptions passes options on to protoactor-go, for example a metrics
// provider.
func WithProtoOptions(opts ...proto.ConfigOption) Option {
	return func(o *options) { o.proto = append(o.proto, opts...) }
}

// NewSystem returns a system without any port. It starts no goroutine and
// needs no network; package remote makes it a node of a mesh.
func NewSystem(opts ...Option) *System {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.logger == nil {
		o.logger = slog.New(quietHandler{slog.Default().Handler()})
	}
	config := append([]proto.ConfigOption{
		proto.WithLoggerFactory(func(*proto.ActorSystem) *slog.Logger { return o.logger }),
		// The throttle keeps a goroutine for this long behind a dead letter.
		proto.WithDeadLetterThrottleInterval(50 * time.Millisecond),
	}, o.proto...)
	s := &System{actors: proto.NewActorSystem(config...), log: o.logger, dispatcher: NewDispatcher(0)}
	keepReserve()
	shrink(s.actors.ProcessRegistry)
	s.actors.ProcessRegistry.RegisterAddressResolver(s.resolve)
	s.shortcuts.seed = maphash.MakeSeed()
	s.callbacks.Panicked = func(cause any) { s.log.Error("callback or called function panicked", "err", cause) }
	s.mailbox = s.mailboxFor(Mailbox{})
	s.cradles.New = func() any { return newCradle(s) }
	s.net.Store(&network{node: LocalNode})
	// Names must not come again when the process is started anew under the
	// same node ID (section 1 of the protocol). The sequence starts at the
	// time in microseconds, with room for 4096 names in each.
	atomic.StoreUint64(&s.actors.ProcessRegistry.SequenceID, uint64(time.Now().UnixMicro())<<12)
	s.startWatcher()
	return s
}

// shrink makes the table of names of a new actor system smaller: 32,768 maps, which
// take 2.9 MB and which each run of the garbage collector looks at, become 1,024.
func shrink(registry *proto.ProcessRegistryValue) {
	table := registry.LocalPIDs
	all := table.LocalPIDs
	known := make(map[string]any)
	for _, names := range all {
		names.IterCb(func(name string, process any) { known[name] = process })
	}
	table.LocalPIDs = slices.Clone(all[:32])
	for name, process := range known {
		registry.Add(process.(proto.Process), name)
	}
}

// Actors returns the protoactor-go system below. Whatever is spawned there is
// a port of this system.
func (s *System) Actors() *proto.ActorSystem { return s.actors }

// Logger returns the logger of the system.
func (s *System) Logger() *slog.Logger { return s.log }

// Node returns the system's node ID: [LocalNode] before it is a node.
func (s *System) Node() NodeID { return s.net.Load().node }

// IsLocal reports whether the port would be on this system.
func (s *System) IsLocal(port PortID) bool { return s.isLocal(port.Node()) }

func (s *System) isLocal(node NodeID) bool { return s.net.Load().isLocal(node) }

// PID returns the protoactor-go PID of a port.
func (s *System) PID(port PortID) *proto.PID {
	node, name := port.Split()
	return proto.NewPID(string(node), name)
}

// PortOf returns the port ID of a protoactor-go PID.
func PortOf(pid *proto.PID) PortID {
	return NodeID(pid.Address).Port(pid.Id).Canonical()
}

// Send sends a message to a port: by custom a tag and arguments, or one value of
// a type that is bound to a tag ([Bind]). (AEMP: snd.)
//
// It does not wait for the port. To a port on another node the message is
// encoded at once; Send waits only when so much is on its way to that node
// that the peer has to catch up first. A port that does not exist swallows the
// message, as in AEMP; on this node it shows up among protoactor-go's dead
// letters.
//
// An error means that the message was not accepted: it cannot be encoded
// ([aemp.ErrUnsupportedValue]), or there is no network ([ErrNoNetwork]). That
// it arrives is not promised; what is promised is that no later message
// arrives in its place before the port's monitors have fired.
//
// A sent message must not be changed any more.
func (s *System) Send(to PortID, msg ...any) error { return s.send(to, msg, "", false) }

// send sends a message with a port to answer to, if that is not empty. It does
// not keep msg, so that callers with a message of a bound type need no memory
// for the list that it is in.
func (s *System) send(to PortID, msg Message, reply PortID, noWait bool) error {
	net := s.net.Load()
	r, box := s.routes.find(to, net)
	if r == nil {
		made, found := s.newRoute(to, net)
		r, box = &made, found
	}
	var m any
	var b *binding
	if len(msg) == 1 {
		m, b = typedMessage(msg[0])
	}
	if b == nil || r.name == "" && r.local {
		var list *Message
		if r.local {
			list = newList(len(msg) + 1)
		} else {
			list = outgoing.Get().(*Message)
			defer free(list)
		}
		*list = append(*list, msg...)
		if b == nil && reply != "" {
			*list = append(*list, string(reply))
		}
		m, reply = asValue(list), ""
	}
	switch {
	case box != nil:
		box.PostUserMessage(s.envelope(m, reply))
		return nil
	case r.local:
		s.deliver(r.name, m, reply)
		return nil
	}
	err := ErrNoNetwork
	out := Outgoing{Port: r.name, Message: m, Reply: reply, NoWait: noWait, binding: b}
	switch {
	case r.peer != nil:
		err = r.peer.Send(out)
	case net.provider != nil:
		err = net.provider.Send(r.node, out)
	}
	if err != nil {
		return fmt.Errorf("actor: send to %s: %w", to, err)
	}
	return nil
}

// deliver hands a message to a local port.
func (s *System) deliver(name string, m any, reply PortID) {
	if name == "" {
		if m, ok := m.(Message); ok {
			s.request(s.Node(), m, nil)
		}
		return
	}
	if _, box := s.shortcuts.find(name); box != nil {
		box.PostUserMessage(s.envelope(m, reply))
		return
	}
	process, ok := s.lookup(name)
	if !ok {
		s.deadLetter(name, m)
		return
	}
	if actor, ok := process.(*proto.ActorProcess); ok {
		s.shortcuts.add(name, actor)
	}
	s.post(process, name, m, reply)
}

// lookup finds the process of a local port. The processes that protoactor-go
// and this package register for their own use are no ports: some of them
// panic when they get a message.
func (s *System) lookup(name string) (proto.Process, bool) {
	process, ok := s.actors.ProcessRegistry.GetLocal(name)
	if !ok || name == "eventstream" || name == "deadletter" || name == watcherName ||
		strings.HasPrefix(name, "guardian$") {
		return nil, false
	}
	return process, true
}

// post puts a message into the mailbox of a process.
func (s *System) post(process proto.Process, name string, m any, reply PortID) {
	m = s.envelope(m, reply)
	if _, ok := process.(*proto.ActorProcess); ok {
		process.SendUserMessage(nil, m)
		return
	}
	// Other processes want to know their own PID: a future, for example, to
	// remove itself.
	process.SendUserMessage(s.actors.NewLocalPID(name), m)
}

// envelope adds the reply port to a message, if there is one, as the sender that
// protoactor-go actors answer.
func (s *System) envelope(m any, reply PortID) any {
	if reply == "" {
		return m
	}
	return &proto.MessageEnvelope{Message: m, Sender: s.PID(reply)}
}

func (s *System) deadLetter(name string, m any) {
	s.actors.EventStream.Publish(&proto.DeadLetterEvent{PID: s.actors.NewLocalPID(name), Message: m})
}

// Kill ends a port, once it has dealt with the messages that were sent to it
// before. Its monitors get the reason; no reason at all is a normal end. (AEMP:
// kil.) Nothing happens to a port that does not exist, nor to a node port.
//
// The error is [ErrNoNetwork] or tells that the reason cannot be encoded.
func (s *System) Kill(port PortID, reason ...any) error {
	node, name := port.Split()
	if name == "" {
		return nil
	}
	if s.isLocal(node) {
		s.kill(name, append(Reason(nil), reason...))
		return nil
	}
	p, err := s.provider()
	if err == nil {
		err = p.Kill(port, reason)
	}
	if err != nil {
		return fmt.Errorf("actor: kill %s: %w", port, err)
	}
	return nil
}

func (s *System) kill(name string, reason Reason) {
	process, ok := s.lookup(name)
	if !ok {
		return
	}
	if !watchable(process, name) {
		process.Stop(s.actors.NewLocalPID(name)) // it has no mailbox to wait for
		return
	}
	if reason.Normal() {
		s.expectNormalDeath(name, false)
	} else {
		s.expectDeath(process, name, reason, false)
	}
	if _, ok := process.(*proto.ActorProcess); !ok {
		// A router waits for its routees, and we may be the reader of a link.
		go process.Stop(s.actors.NewLocalPID(name))
		return
	}
	process.SendUserMessage(nil, poison)
}

// poison makes an actor stop behind the messages that are before it.
var poison = &proto.PoisonPill{}

// A network is what a system is in a mesh. It is never changed, but replaced.
type network struct {
	node     NodeID
	provider Provider // nil without connection to other nodes
}

func (n *network) isLocal(node NodeID) bool { return node == n.node || node == LocalNode }

func (s *System) provider() (Provider, error) {
	if p := s.net.Load().provider; p != nil {
		return p, nil
	}
	return nil, ErrNoNetwork
}

// quietHandler passes warnings and errors.
type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
