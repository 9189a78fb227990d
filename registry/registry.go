package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/eventstream"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/serial"
	"github.com/portmesh/portmesh/remote"
)

// Errors of this package.
var (
	// ErrFamily: a family name is not of the form [A-Za-z][A-Za-z0-9_:]*.
	ErrFamily = errors.New("invalid family name")
	// ErrNoMaster: no global node could be asked in time.
	ErrNoMaster = errors.New("no global node is connected")
)

// Config says how a node takes part in the registry.
type Config struct {
	// Global makes the node a global node from the start. Others become global
	// when somebody has them as a seed, or when one of their own seeds is
	// themselves.
	Global bool
	// Bridge are names that stand for a family of generation 2 and a group of
	// generation 1 at once: ports that are keys of the one are members of the
	// other. So Perl nodes of the two generations, which cannot talk to each
	// other, see each other's ports, and reach them through this node, as if they
	// were connected: with messages, monitors, kills and spawns, but not with data
	// connections. For each node that others may want to reach, the bridge listens
	// on a port of its own, at the host of the first address in Listen. A mesh may
	// have several bridges. One without a seed is a global node. Nil means none.
	Bridge []string
}

// A Registry is a node's part of the distributed database. Its methods may be
// called by any goroutine at any time.
type Registry struct {
	node         *remote.Node
	sys          *actor.System
	log          *slog.Logger
	subscription *eventstream.Subscription
	ctx          context.Context // done when the registry closes
	cancel       context.CancelFunc
	seedDelayMax time.Duration // the longest time between attempts to reach a seed
	goroutines   sync.WaitGroup
	callbacks    serial.Queue
	listening    []string // addresses at which others reach us

	mu    sync.Mutex
	local database                        // our own part
	up    map[actor.NodeID]*aemp.Greeting // nodes that are connected, and what they said of themselves
	seeds map[actor.NodeID]bool           // connected nodes that are seeds

	// As a slave.
	lost    actor.NodeID // the last master
	lostAt  time.Time    // when that was, if there was no other then
	master  actor.NodeID // the global node that we tell and ask; empty: none
	queries map[string]*query
	lastID  int
	copies  map[string]*family // the families that are monitored

	// As a global node.
	global  *globalRole           // nil: we are none
	globals map[actor.NodeID]bool // other global nodes that are connected

	gossip gossip  // with nodes of generation 1
	bridge *bridge // between the generations; nil: none
}

// Start makes the system a node that finds others by itself: it listens and
// connects as config says, and looks up the addresses of nodes in the
// database, unless config has a Resolve function of its own, which is asked
// first. The context bounds the start only. Closing the registry closes the
// node.
func Start(ctx context.Context, sys *actor.System, config remote.Config, options Config) (*Registry, error) {
	// More than the node looks at what the profile says.
	config, err := config.WithProfile(ctx)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		sys:     sys,
		local:   make(database),
		up:      make(map[actor.NodeID]*aemp.Greeting),
		seeds:   make(map[actor.NodeID]bool),
		queries: make(map[string]*query),
		copies:  make(map[string]*family),
		globals: make(map[actor.NodeID]bool),
		gossip: gossip{
			ports:     make(map[actor.NodeID]actor.PortID),
			addresses: make(map[actor.NodeID][]string),
			seeding:   make(map[actor.NodeID]bool),
			trying:    make(map[actor.NodeID]bool),
			groups:    groups{view: newView(""), own: make(database), copies: make(map[string]*family)},
		},
	}
	r.seedDelayMax = 2 * cmp.Or(config.MonitorTimeout, 30*time.Second)
	r.callbacks.Panicked = func(cause any) { r.log.Error("registry callback panicked", "err", cause) }
	r.ctx, r.cancel = context.WithCancel(context.Background())
	own := config.Resolve
	config.Resolve = func(ctx context.Context, node actor.NodeID) ([]string, error) {
		if own != nil {
			if addresses, err := own(ctx, node); err != nil || len(addresses) > 0 {
				return addresses, err
			}
		}
		return r.find(ctx, node)
	}
	if err := sys.Register(functionGlobal, r.globalPort); err != nil {
		return nil, fmt.Errorf("registry: the system has one already: %w", err)
	}
	r.subscription = sys.Actors().EventStream.Subscribe(r.event)
	r.mu.Lock() // no request is dealt with before all is in place
	r.handle()
	node, err := remote.Start(ctx, sys, config)
	if err != nil {
		r.mu.Unlock()
		r.unhandle()
		r.cancel()
		return nil, err
	}
	r.node = node
	r.log = sys.Logger().With("node", node.ID())
	r.listening = listening(node.Addresses())
	if len(r.listening) > 0 {
		r.local.set(familyAddresses, string(node.ID()), anyList(r.listening))
	}
	// Where there is no seed, nobody of generation 1 will ask a bridge to be the
	// global node that it needs.
	if options.Global || len(options.Bridge) > 0 && len(config.Seeds) == 0 {
		r.becomeGlobal()
	}
	r.mu.Unlock()
	if len(options.Bridge) > 0 {
		if err := r.startBridge(options.Bridge, config); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// Node returns the node that the registry belongs to.
func (r *Registry) Node() *remote.Node { return r.node }

// IsGlobal reports whether the node is a global one.
func (r *Registry) IsGlobal() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.global != nil
}

// Close closes the node, and with it the registry. Nothing is left behind.
func (r *Registry) Close() error {
	r.cancel()
	r.mu.Lock()
	bridge := r.bridge
	r.mu.Unlock()
	if bridge != nil {
		bridge.relay.Close()
	}
	err := r.node.Close()
	r.unhandle()
	r.goroutines.Wait()
	return err
}

func (r *Registry) unhandle() {
	r.sys.Unregister(functionGlobal)
	r.sys.Actors().EventStream.Unsubscribe(r.subscription)
	for _, request := range requests {
		r.sys.HandleRequest(request, nil)
	}
	r.sys.HandleEval(questionFamilies, nil)
}

var familyName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_:]*$`)

func checkFamily(name string) error {
	if !familyName.MatchString(name) {
		return fmt.Errorf("registry: family %q: %w", name, ErrFamily)
	}
	return nil
}

// Set gives a key of a family a value, for the whole mesh, as long as this node
// is part of it. (AEMP: db_set.) A value is what [aemp.Message] can hold; nil
// is one as well. The returned function deletes the key again, unless it has
// been set anew.
//
// Set does not wait for the change to be known, but it may wait for a node that is
// slow to read, as sending does.
//
// Other nodes may set the same key; which of the values is seen is not defined.
// The error wraps [ErrFamily], [ErrKey] or [aemp.ErrUnsupportedValue]. A value is
// refused also when only some framings could send it, such as infinity, since it
// has to reach every node.
func (r *Registry) Set(family, key string, value any) (undo func(), err error) {
	if err := checkFamily(family); err != nil {
		return nil, err
	}
	v, err := aemp.Normalize(value)
	if err != nil {
		return nil, fmt.Errorf("registry: family %q, key %q: %w", family, key, err)
	}
	if err := checkEntry(family, key, v); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.setLocal(family, map[string]any{key: v}, nil)
	told := r.toldOf(family)
	r.mu.Unlock()
	r.waitForRoom(told)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if now, ok := r.local[family][key]; ok && equal(now, v) {
			r.setLocal(family, nil, []string{key})
		}
	}, nil
}

// Delete deletes keys of a family, as far as this node has set them. (AEMP:
// db_del.)
func (r *Registry) Delete(family string, keys ...string) error {
	if err := checkFamily(family); err != nil {
		return err
	}
	r.mu.Lock()
	var del []string
	for _, key := range keys {
		if _, ok := r.local[family][key]; ok {
			del = append(del, key)
		}
	}
	if len(del) > 0 {
		r.setLocal(family, nil, del)
	}
	told := r.toldOf(family)
	r.mu.Unlock()
	r.waitForRoom(told)
	return nil
}

// Register sets the port's ID as a key of a family, for as long as the port
// lives. (AEMP: db_reg.) The returned function deletes it before.
func (r *Registry) Register(family string, port actor.PortID, value any) (undo func(), err error) {
	remove, err := r.Set(family, string(port), value)
	if err != nil {
		return nil, err
	}
	stop := r.sys.Monitor(port, func(actor.Reason) { remove() })
	return func() {
		stop()
		remove()
	}, nil
}

// toldOf returns the nodes that are told of what we change in a family.
func (r *Registry) toldOf(family string) []actor.NodeID {
	switch {
	case r.global != nil:
		return slices.AppendSeq(slices.Collect(maps.Keys(r.globals)), maps.Keys(r.global.watched[family]))
	case r.master != "":
		return []actor.NodeID{r.master}
	}
	return nil
}

// waitForRoom waits for nodes that are behind, so that whoever changes a lot does
// it no faster than they take it. What becomes of one that does not take it at all
// is told by its connection.
func (r *Registry) waitForRoom(nodes []actor.NodeID) {
	for _, node := range nodes {
		if err := r.node.WaitForRoom(node); err != nil {
			r.log.Debug("a node is behind with the database", "peer", node, "err", err)
		}
	}
}

// setLocal changes our own part, and tells whom it concerns. The caller holds
// the lock.
func (r *Registry) setLocal(family string, set map[string]any, del []string) {
	changed := false
	for key, value := range set {
		if old, ok := r.local[family][key]; !ok || !equal(old, value) {
			r.local.set(family, key, value)
			changed = true
		}
	}
	for _, key := range del {
		forget(r.local, family, key)
		changed = true
	}
	switch {
	case !changed:
	case r.global != nil:
		r.spread(r.global.view.update(r.node.ID(), true, family, set, del))
	case r.master != "" && len(del) == 0:
		r.request(r.master, requestUpdate, family, set)
	case r.master != "":
		r.request(r.master, requestUpdate, family, nullable(set), del)
	}
}

// Family returns the content of a family. (AEMP: db_family.) It waits for a
// global node to ask; the error wraps [ErrNoMaster] when there is none within
// the time of ctx, and that of ctx.
func (r *Registry) Family(ctx context.Context, family string) (map[string]any, error) {
	if err := checkReadable(family); err != nil {
		return nil, err
	}
	v, err := r.query(ctx, requestFamily, family)
	if err != nil {
		return nil, err
	}
	content, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("registry: family %q: %w: the answer is no map", family, aemp.ErrValue)
	}
	return content, nil
}

// Keys returns the keys of a family. (AEMP: db_keys.)
func (r *Registry) Keys(ctx context.Context, family string) ([]string, error) {
	if err := checkReadable(family); err != nil {
		return nil, err
	}
	v, err := r.query(ctx, requestKeys, family)
	if err != nil {
		return nil, err
	}
	var keys []string
	if err := aemp.Convert(&keys, v); err != nil {
		return nil, fmt.Errorf("registry: family %q: %w", family, err)
	}
	return keys, nil
}

// Values returns the values of a family. (AEMP: db_values.)
func (r *Registry) Values(ctx context.Context, family string) ([]any, error) {
	if err := checkReadable(family); err != nil {
		return nil, err
	}
	v, err := r.query(ctx, requestValues, family)
	if err != nil {
		return nil, err
	}
	var values []any
	if err := aemp.Convert(&values, v); err != nil {
		return nil, fmt.Errorf("registry: family %q: %w", family, err)
	}
	return values, nil
}

// listening returns the addresses at which others reach ours: those of the
// machine's interfaces in the place of "every address".
func listening(addresses []string) []string {
	var out []string
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			out = append(out, address)
			continue
		}
		for _, host := range interfaceAddresses() {
			out = append(out, net.JoinHostPort(host, port))
		}
	}
	return out
}

// interfaceAddresses returns the machine's addresses: those that others can
// reach, or the loopback ones if there are no others.
func interfaceAddresses() (hosts []string) {
	var loopback []string
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		ipnet, ok := a.(*net.IPNet)
		switch {
		case !ok || ipnet.IP.IsLinkLocalUnicast():
		case ipnet.IP.IsLoopback():
			loopback = append(loopback, ipnet.IP.String())
		default:
			hosts = append(hosts, ipnet.IP.String())
		}
	}
	if len(hosts) == 0 {
		return loopback
	}
	return hosts
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// nullable makes an empty map undef, as slaves send it.
func nullable(set map[string]any) any {
	if len(set) == 0 {
		return nil
	}
	return set
}
