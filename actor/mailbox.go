package actor

import (
	linked "container/list"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	proto "github.com/asynkron/protoactor-go/actor"
)

// A Mailbox says how the messages for an actor are kept until it gets to them.
// The zero value keeps any number of them, as protoactor-go's default does, in
// less memory and time.
//
// A port that dies leaves the messages that it did not get to. They become
// dead letters, as do those that a full mailbox refuses.
type Mailbox struct {
	// Size bounds the messages that wait. Zero means that there is no bound.
	//
	// What controls an actor is never refused, and never waits: protoactor-go's
	// system messages, a kill, the callbacks of monitors and calls in a port.
	Size int
	// Full says what becomes of a message that finds Size others waiting.
	// Zero means [KillPort].
	Full WhenFull

	// DeadLetter gets the messages that are lost, from whatever goroutine
	// loses them. It must not panic. Nil means that they are published on the
	// event stream of the actor system.
	DeadLetter func(*proto.DeadLetterEvent)
	// Kill is called for [KillPort], once, by the goroutine that sent one
	// message too many. Nil means that the actor is stopped.
	Kill func(*proto.PID)

	system *System // that is to be told when the actor stops; may be nil
}

// Producer returns such mailboxes for actors that are spawned with
// protoactor-go's WithMailbox.
func (m Mailbox) Producer() proto.MailboxProducer {
	return m.produce
}

func (m *Mailbox) produce() proto.Mailbox {
	// Whoever posts before Start must not wake the actor.
	return &mailbox{config: m, scheduled: true}
}

// A mailbox is the mailbox of one actor. Senders put messages in under its
// lock, and the actor's goroutine, of which there is at most one at a time,
// takes them out: a chunk at a time if a full one waits, else one by one. (To
// take all of them out at once was measured to be slower: the goroutine then
// runs dry more often, and has to be woken.) An unused mailbox holds no memory
// but its own.
type mailbox struct {
	// The first half, a cache line of its own, is for the actor's goroutine, which
	// would be held up at each message if senders wrote there.
	hand      *chunk      // user messages that were taken out together
	urgent    atomic.Bool // system is not empty
	suspended bool        // only system messages are dealt with; changed with the lock held
	stopped   bool        // the actor has stopped

	// Immutable after RegisterHandlers.
	invoker    proto.MessageInvoker
	dispatcher proto.Dispatcher
	config     *Mailbox

	waiting *linked.List // of *waiter, those for whom there is no room, guarded by mu; see WaitFor

	// The second half is for whoever holds the lock.
	mu        sync.Mutex
	user      queue
	system    queue
	posted    int32 // length of user
	scheduled bool  // a goroutine runs the actor or is about to
	refusing  bool  // it was full, and the actor is to die of it
	shortcut  atomic.Pointer[shortcut]
	started   *proto.Started // before all of system, which stays empty for most actors
}

// PostUserMessage puts a message in, behind the earlier ones of its sender.
// A batch is put in one by one, and then itself, as protoactor-go does it.
func (m *mailbox) PostUserMessage(message any) {
	content := message
	if env, ok := message.(*proto.MessageEnvelope); ok {
		content = env.Message
	}
	if batch, ok := content.(proto.MessageBatch); ok {
		for _, msg := range batch.GetMessages() {
			m.PostUserMessage(msg)
		}
	}
	m.mu.Lock()
	if m.config.Size > 0 && !m.admit(message) {
		return // the lock is released
	}
	m.user.push(message)
	m.posted++
	m.unlockAndWake()
}

// post puts messages in that are no batches of protoactor-go, into a mailbox
// without bound. If it returns true, the actor is to be run by the caller: by
// wake, or process.
func (m *mailbox) post(messages []any) (wake bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range messages {
		m.user.push(message)
	}
	m.posted += int32(len(messages))
	return m.claim()
}

// PostSystemMessage puts a system message in. It overtakes the user messages.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	if started, ok := message.(*proto.Started); ok && m.started == nil && m.system.empty() {
		m.started = started
	} else {
		m.system.push(message)
	}
	m.urgent.Store(true)
	m.unlockAndWake()
}

// unlockAndWake has the actor run if there is anything that it can do.
func (m *mailbox) unlockAndWake() {
	wake := m.claim()
	m.mu.Unlock()
	if wake {
		m.wake()
	}
}

// claim returns whether the caller is to have the actor run: it sleeps, and there
// is something that it can do. It is called with the lock held.
func (m *mailbox) claim() bool {
	if m.scheduled || !m.ready() {
		return false
	}
	m.scheduled = true
	return true
}

// wake has the actor run, in a goroutine of its dispatcher.
func (m *mailbox) wake() {
	if d, ours := m.dispatcher.(*Dispatcher); ours {
		d.schedule(m) // without a closure
		return
	}
	m.dispatcher.Schedule(m.process)
}

// ready reports whether there is a message to deal with.
func (m *mailbox) ready() bool {
	return m.hasSystem() || !m.suspended && !m.user.empty()
}

// RegisterHandlers says who gets the messages, and who runs the actor.
func (m *mailbox) RegisterHandlers(invoker proto.MessageInvoker, dispatcher proto.Dispatcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start lets the actor run. An actor's name is known before its mailbox is
// ready, so that there may be messages already; the first that the actor gets
// is Started nevertheless, which was posted before the call.
func (m *mailbox) Start() {
	m.mu.Lock()
	m.scheduled = false
	m.unlockAndWake()
}

// UserMessageCount returns how many messages wait, but for those, fewer than 16,
// that the actor has taken out together.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.posted)
}

// lingers is how often an actor that has no message left gives way to others and
// looks again, before it goes to sleep. Where messages are answered or many come,
// the next is there by then, and to wake an actor costs more than all else.
const lingers = 3

// process deals with messages until there are none for a while.
func (m *mailbox) process() {
	for !m.processUntilFailure(lingers) {
	}
}

// processOnce deals with messages until there are none.
func (m *mailbox) processOnce() {
	for !m.processUntilFailure(0) {
	}
}

// processUntilFailure returns whether there are no messages left, and have not
// been each time that it looked for them again.
func (m *mailbox) processUntilFailure(lingers int) (done bool) {
	var message any
	defer func() {
		if cause := recover(); cause != nil {
			m.invoker.EscalateFailure(cause, message)
		}
	}()
	throughput := m.dispatcher.Throughput()
	patience := 0 // to wait after what is no message, such as Started, is in vain
	for i := 0; ; i++ {
		if i > throughput {
			i = 0
			runtime.Gosched()
		}
		var from source
		message, from = m.next(patience > 0)
		switch {
		case from == nowhere && patience > 0:
			patience--
			runtime.Gosched()
		case from == nowhere:
			return true
		case from == fromSystem:
			m.control(message)
		case m.stopped:
			m.deadLetter(message)
		default:
			patience = lingers
			m.invoker.InvokeUserMessage(message)
		}
	}
}

// A source says which queue a message comes from.
type source int

const (
	nowhere source = iota
	fromSystem
	fromUser
)

// next takes out the message that is to be dealt with next. When there is none,
// the next one that is posted wakes the actor, unless it stays awake.
func (m *mailbox) next(stay bool) (message any, from source) {
	if m.hand != nil && !m.urgent.Load() && !m.suspended {
		message, m.hand = m.hand.pop()
		return message, fromUser
	}
	m.mu.Lock()
	switch {
	case m.hasSystem():
		message, from = m.nextSystem(), fromSystem
		m.urgent.Store(m.hasSystem())
	case m.suspended:
		m.scheduled = stay
	case m.hand != nil:
		message, m.hand = m.hand.pop()
		from = fromUser
	case m.user.empty():
		m.scheduled = stay
	default:
		message, from = m.nextUser(), fromUser
	}
	m.mu.Unlock()
	return message, from
}

func (m *mailbox) hasSystem() bool { return m.started != nil || !m.system.empty() }

func (m *mailbox) nextSystem() any {
	if started := m.started; started != nil {
		m.started = nil
		return started
	}
	return m.system.pop()
}

// control deals with a system message.
func (m *mailbox) control(message any) {
	switch message.(type) {
	case *proto.SuspendMailbox:
		m.suspend(true)
	case *proto.ResumeMailbox:
		m.suspend(false)
	case *proto.Stop, *proto.Terminated:
		before := m.registered()
		defer func() { // also when the actor panics at its end
			if before != nil && m.registered() != before {
				m.stop()
			}
		}()
		m.invoker.InvokeSystemMessage(message)
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

// suspend stops the user messages, unless they are dead letters by now.
func (m *mailbox) suspend(suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = suspended && !m.stopped
}

// registered returns what the actor's name stands for: the actor, as long as
// it has not stopped.
func (m *mailbox) registered() proto.Process {
	c, ok := m.invoker.(proto.Context)
	if !ok {
		return nil
	}
	process, _ := c.ActorSystem().ProcessRegistry.GetLocal(c.Self().Id)
	return process
}

// stop makes dead letters of all user messages from now on. An actor that
// stopped because it failed is suspended.
func (m *mailbox) stop() {
	m.mu.Lock()
	m.stopped, m.suspended = true, false
	m.mu.Unlock()
	if s := m.shortcut.Load(); s != nil {
		s.close()
	}
}

// deadLetter tells of a user message that is lost.
func (m *mailbox) deadLetter(message any) {
	if controls(message) {
		return // there is nothing left to control
	}
	_, content, sender := proto.UnwrapEnvelope(message)
	event := &proto.DeadLetterEvent{Message: content, Sender: sender}
	c, ok := m.invoker.(proto.Context)
	if ok {
		event.PID = c.Self()
	}
	switch {
	case m.config.DeadLetter != nil:
		m.config.DeadLetter(event)
	case ok:
		c.ActorSystem().EventStream.Publish(event)
	}
}

// controls reports whether a user message belongs to the workings of an actor
// rather than to what it is told.
func controls(message any) bool {
	switch message.(type) {
	case inPort, proto.AutoReceiveMessage, proto.SystemMessage, *proto.ReceiveTimeout, *proto.DeadLetterResponse:
		return true
	}
	return false
}

// WithMailbox gives an actor that is spawned on [System.Actors] such a mailbox.
// As for a port, a KillPort kills it with the reason "mailbox_full".
func (s *System) WithMailbox(m Mailbox) proto.PropsOption {
	return proto.WithMailbox(s.mailboxFor(m).produce)
}

// mailboxFor returns m, made one for actors of the system.
func (s *System) mailboxFor(m Mailbox) *Mailbox {
	m.system = s
	if m.DeadLetter == nil {
		m.DeadLetter = s.loseMessage
	}
	if m.Kill == nil {
		reason := Reason{"mailbox_full", strconv.Itoa(m.Size) + " messages are waiting"}
		m.Kill = func(pid *proto.PID) {
			if process, ok := s.lookup(pid.Id); ok {
				s.expectDeath(process, pid.Id, reason, false)
				process.Stop(pid)
			}
		}
	}
	return &m
}

// loseMessage publishes a dead letter. protoactor-go answers its sender, which
// is good for a future. A port would take that for a message. A subscriber that
// panics must not be taken for the actor, which may have a successor of its name.
func (s *System) loseMessage(e *proto.DeadLetterEvent) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("subscriber panicked at a dead letter", "port", PortOf(e.PID), "err", cause)
		}
	}()
	if e.Sender != nil {
		process, ok := s.lookup(e.Sender.Id)
		_, isActor := process.(*proto.ActorProcess)
		if !ok || isActor || !s.isLocal(NodeID(e.Sender.Address)) {
			e.Sender = nil
		}
	}
	s.actors.EventStream.Publish(e)
}

// A queue is a list of messages in chunks, which come from a pool: it neither
// copies when it grows, nor keeps anything when it is empty.
type queue struct {
	first, last *chunk
}

// A chunk holds consecutive messages of a queue; it is never empty there. It
// is 256 bytes long, one of the sizes that the allocator knows.
type chunk struct {
	next       *chunk
	start, end uint32 // of what is used of messages
	messages   [15]any
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func (q *queue) empty() bool { return q.first == nil }

func (q *queue) push(message any) {
	switch {
	case q.first == nil:
		q.first = chunks.Get().(*chunk)
		q.last = q.first
	case int(q.last.end) == len(q.last.messages):
		q.last.next = chunks.Get().(*chunk)
		q.last = q.last.next
	}
	q.last.messages[q.last.end] = message
	q.last.end++
}

// popChunk takes the first chunk out, if it is full and there are others.
func (q *queue) popChunk() *chunk {
	c := q.first
	if c == q.last {
		return nil
	}
	q.first, c.next = c.next, nil
	return c
}

// pop takes the first message out. The queue must not be empty.
func (q *queue) pop() (message any) {
	message, q.first = q.first.pop()
	if q.first == nil {
		q.last = nil // it belongs to the pool again
	}
	return message
}

// pop takes out the first message of the chunks that begin with c. It returns
// the chunks that are left.
func (c *chunk) pop() (message any, rest *chunk) {
	message = c.messages[c.start]
	c.messages[c.start] = nil
	c.start++
	if c.start < c.end {
		return message, c
	}
	rest = c.next
	c.next, c.start, c.end = nil, 0, 0
	chunks.Put(c)
	return message, rest
}
