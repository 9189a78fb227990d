package registry

import (
	"errors"
	"fmt"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
)

// A Policy says to which members of a group a router forwards a message: it is
// one of [ToAll], [ToNext], [ToRandom], and what [ToKey] returns.
type Policy struct {
	pick func(g *Group, m actor.Message) ([]actor.PortID, error)
}

// The policies that need to know nothing of the message.
var (
	// ToNext forwards each message to one member, in turn.
	ToNext = Policy{func(g *Group, _ actor.Message) ([]actor.PortID, error) { return g.next(), nil }}
	// ToRandom forwards each message to any one member.
	ToRandom = Policy{func(g *Group, _ actor.Message) ([]actor.PortID, error) { return g.view.Load().random(), nil }}
	// ToAll forwards each message to every member.
	ToAll = Policy{func(g *Group, _ actor.Message) ([]actor.PortID, error) { return g.view.Load().list(), nil }}
)

// ToKey forwards each message to the member that its key belongs to, as
// [Group.ForKey] does. The function returns the key of a message, which begins
// with the tag; [Element] makes such functions. A message for which it returns
// an error is not forwarded; see [RouterConfig.Lost].
func ToKey(key func(m actor.Message) (string, error)) Policy {
	return Policy{func(g *Group, m actor.Message) ([]actor.PortID, error) {
		k, err := key(m)
		if err != nil {
			return nil, fmt.Errorf("key of message: %w", err)
		}
		return g.view.Load().forKey(k), nil
	}}
}

// Element returns a function for [ToKey]: the key is that element of the
// message, as a string, where 0 is the tag and 1 the first argument. Its error
// wraps [aemp.ErrValue].
func Element(i int) func(m actor.Message) (string, error) {
	return func(m actor.Message) (key string, err error) {
		if i < 0 || i >= len(m) {
			return "", fmt.Errorf("element %d: %w: it is missing", i, aemp.ErrValue)
		}
		if err := aemp.Convert(&key, m[i]); err != nil {
			return "", fmt.Errorf("element %d: %w", i, err)
		}
		return key, nil
	}
}

// RouterConfig says how a router deals with messages that it cannot forward at
// once. The zero value is usable.
type RouterConfig struct {
	// Wait is how long a message waits for the group to have a member. Zero
	// means 30 seconds; a negative value means not at all.
	Wait time.Duration
	// Size bounds the messages that wait. One that comes when there are as many
	// is lost at once. Zero means 1000.
	Size int
	// Lost is called, in the router, with each message that is not forwarded: no
	// member came in time ([ErrNoMember]), there is no key, or it could not be
	// sent. The last element of the message is where an answer is expected, if
	// one is. If Lost returns an error, the router dies of it, so that those who
	// monitor it hear of the loss.
	//
	// Nil means that the message is published as a dead letter of the router,
	// with a warning in the log.
	Lost func(c *actor.Context, m actor.Message, cause error) error
	// Mailbox is that of the router.
	Mailbox actor.Mailbox
}

// The defaults of RouterConfig.
const (
	routerWait = 30 * time.Second
	routerSize = 1000
)

// Router makes a port on this node that forwards what it receives to members of
// the group, until it is killed or the group is closed. Other nodes can use it as
// well. What waits when it ends becomes dead letters.
//
// A message is forwarded as it is, with its reply port, so that a member answers
// to whoever asked; one of a bound type is forwarded as its list. What one sender
// sends by a router to one member arrives in the order in which it was sent.
// While the group is empty, messages wait, also before it is first known who the
// members are; then they are forwarded in their order, before any other. Nothing
// that a router has not forwarded is lost silently: see [RouterConfig.Lost].
//
// What has been forwarded is under way as any message, and lost if the member
// dies; to monitor the router does not tell of that. A member that is on another
// node and slow to read holds up its router, as it holds up everybody who sends
// to it.
func (g *Group) Router(to Policy, config RouterConfig) actor.PortID {
	if to.pick == nil {
		panic("registry: Router with the zero Policy")
	}
	if config.Wait == 0 {
		config.Wait = routerWait
	}
	if config.Size == 0 {
		config.Size = routerSize
	}
	r := &router{group: g, to: to, config: config}
	port := g.r.sys.Port(r.start, config.Mailbox)
	g.r.sys.Monitor(port, func(reason actor.Reason) { r.ended(port, reason) })
	return port
}

// A router is the state of a port that forwards. It belongs to the goroutine of
// that port, but for wake; and to ended, when the port has died.
type router struct {
	group  *Group
	to     Policy
	config RouterConfig
	wake   func() // looks at the members, in turn with the messages

	held  []held // messages for which there was no member, in order
	timed bool   // expire is going to be called
	full  bool   // a message was lost since there were too many
}

// A held message waits for a member until its time is up.
type held struct {
	message actor.Message
	until   time.Time
}

func (r *router) start(c *actor.Context) error {
	c.Default(r.receive)
	r.wake = c.Func(r.flush)
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	if r.group.ctx.Err() != nil {
		c.Kill()
		return nil
	}
	r.group.routers[c.Self()] = r
	return nil
}

func (r *router) receive(c *actor.Context, m actor.Message) error {
	if err := r.flush(c); err != nil {
		r.held = append(r.held, held{message: m}) // to be lost with the others
		return err
	}
	if len(r.held) == 0 {
		if done, err := r.forward(c, m); done {
			return err
		}
	}
	return r.hold(c, m)
}

// flush forwards what waits, as far as there are members.
func (r *router) flush(c *actor.Context) error {
	for len(r.held) > 0 {
		done, err := r.forward(c, r.held[0].message)
		if !done {
			return nil
		}
		r.held[0] = held{}
		r.held = r.held[1:]
		if err != nil {
			return err
		}
	}
	r.held, r.full = nil, false
	return nil
}

// errLoop: a router is a member of the group that it forwards to.
var errLoop = errors.New("the router is a member of its own group")

// forward deals with a message, unless there is no member.
func (r *router) forward(c *actor.Context, m actor.Message) (done bool, err error) {
	ports, cause := r.to.pick(r.group, m)
	if cause == nil && len(ports) == 0 {
		return false, nil
	}
	for _, port := range ports {
		if port == c.Self() {
			cause = errors.Join(cause, errLoop)
		} else {
			cause = errors.Join(cause, c.Send(port, m...))
		}
	}
	if cause == nil {
		return true, nil
	}
	if r.config.Lost == nil {
		r.group.r.log.Warn("message cannot be forwarded", "family", r.group.family, "port", c.Self(), "err", cause)
	}
	return true, r.lost(c, m, cause)
}

// hold keeps a message for later.
func (r *router) hold(c *actor.Context, m actor.Message) error {
	switch {
	case r.config.Wait < 0:
		return r.lost(c, m, r.noMember("the group is empty"))
	case len(r.held) >= r.config.Size:
		cause := r.noMember(fmt.Sprintf("%d messages wait already", r.config.Size))
		if !r.full && r.config.Lost == nil {
			r.full = true // one line will do
			r.group.r.log.Warn("messages are lost", "family", r.group.family, "port", c.Self(), "err", cause)
		}
		return r.lost(c, m, cause)
	}
	r.held = append(r.held, held{m, time.Now().Add(r.config.Wait)})
	r.expireLater(c)
	return nil
}

// expireLater has expire called when the time of the first message is up.
func (r *router) expireLater(c *actor.Context) {
	if len(r.held) == 0 || r.timed {
		return
	}
	r.timed = true
	c.After(time.Until(r.held[0].until), func(c *actor.Context) error {
		r.timed = false
		return r.expire(c)
	})
}

// expire gives up the messages whose time is up.
func (r *router) expire(c *actor.Context) error {
	if err := r.flush(c); err != nil {
		return err
	}
	cause := r.noMember(fmt.Sprintf("none came within %v", r.config.Wait))
	n, now := 0, time.Now()
	for len(r.held) > 0 && !r.held[0].until.After(now) {
		m := r.held[0].message
		r.held[0] = held{}
		r.held = r.held[1:]
		n++
		if err := r.lost(c, m, cause); err != nil {
			return err
		}
	}
	if n > 0 && r.config.Lost == nil {
		r.group.r.log.Warn("messages are lost", "family", r.group.family, "port", c.Self(), "messages", n, "err", cause)
	}
	r.expireLater(c)
	return nil
}

func (r *router) noMember(text string) error {
	return fmt.Errorf("registry: family %q: %w: %s", r.group.family, ErrNoMember, text)
}

// lost deals with a message that was not forwarded.
func (r *router) lost(c *actor.Context, m actor.Message, cause error) error {
	if r.config.Lost != nil {
		return r.config.Lost(c, m, cause)
	}
	r.deadLetter(c.Self(), m)
	return nil
}

func (r *router) deadLetter(port actor.PortID, m actor.Message) {
	sys := r.group.r.sys
	sys.Actors().EventStream.Publish(&proto.DeadLetterEvent{PID: sys.PID(port), Message: m})
}

// ended is called when the port has died. What waited is lost, like what is in
// its mailbox.
func (r *router) ended(port actor.PortID, reason actor.Reason) {
	r.group.mu.Lock()
	delete(r.group.routers, port)
	r.group.mu.Unlock()
	if !reason.Normal() {
		r.group.r.log.Warn("router died", "family", r.group.family, "port", port, "reason", reason.String())
	}
	for _, h := range r.held {
		r.deadLetter(port, h.message)
	}
}
