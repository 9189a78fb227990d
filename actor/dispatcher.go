package actor

import (
	"sync"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"
)

// Bounds of the goroutines that a [Dispatcher] keeps.
const (
	// sweepInterval is how often those that were not needed are ended. It is
	// short, so that a program at rest soon has none.
	sweepInterval = 100 * time.Millisecond
	// maxIdle is how many are kept at most. More than a few are waiting only
	// when many actors have become idle at once, or were blocked.
	maxIdle = 256
)

// defaultThroughput is the throughput of protoactor-go's own dispatcher.
const defaultThroughput = 300

// A Dispatcher runs actors in goroutines that it keeps for a while. It takes
// the place of protoactor-go's default, which starts one whenever an actor has
// something to do: its stack begins small and has to grow each time, which
// costs more than most messages.
//
// Each actor that is running has a goroutine to itself, so that one that
// blocks holds up no other. A goroutine that has nothing to do ends within two
// tenths of a second; an idle Dispatcher has neither goroutines nor timers. All
// methods may be called by any goroutine.
type Dispatcher struct {
	throughput int // immutable

	mu       sync.Mutex
	idle     []chan task // of goroutines that wait, the latest last; each has room for one task
	unused   int         // how many at the front have waited since the last sweep
	sweeping bool        // a sweep is to come
}

var _ proto.Dispatcher = (*Dispatcher)(nil)

// NewDispatcher returns a Dispatcher under which an actor gives way to others
// after that many messages. Zero means 300, which is protoactor-go's default.
func NewDispatcher(throughput int) *Dispatcher {
	if throughput <= 0 {
		throughput = defaultThroughput
	}
	return &Dispatcher{throughput: throughput}
}

// Throughput returns the number given to [NewDispatcher].
func (d *Dispatcher) Throughput() int { return d.throughput }

// A task is something to be done in a goroutine.
type task interface{ process() }

type funcTask func()

func (f funcTask) process() { f() }

// Schedule runs fn in a goroutine of its own.
func (d *Dispatcher) Schedule(fn func()) { d.schedule(funcTask(fn)) }

func (d *Dispatcher) schedule(t task) {
	d.mu.Lock()
	last := len(d.idle) - 1
	if last < 0 {
		d.mu.Unlock()
		go d.work(t)
		return
	}
	// The latest has the warmest stack, and lets the others grow old.
	next := d.idle[last]
	d.idle[last] = nil
	d.idle = d.idle[:last]
	d.unused = min(d.unused, last)
	d.mu.Unlock()
	next <- t
}

// work does one task after another, until nothing comes for a while.
func (d *Dispatcher) work(t task) {
	next := make(chan task, 1)
	for t != nil {
		t.process()
		if !d.wait(next) {
			return
		}
		t = <-next
	}
}

// wait puts a goroutine among those that wait, if there is room.
func (d *Dispatcher) wait(next chan task) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) == maxIdle {
		return false
	}
	d.idle = append(d.idle, next)
	if !d.sweeping {
		d.sweeping = true
		time.AfterFunc(sweepInterval, d.sweep)
	}
	return true
}

// sweep ends the goroutines that were not needed since the last sweep.
func (d *Dispatcher) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, next := range d.idle[:d.unused] {
		close(next)
	}
	kept := copy(d.idle, d.idle[d.unused:])
	clear(d.idle[kept:])
	d.idle = d.idle[:kept]
	d.unused = kept
	d.sweeping = kept > 0
	if d.sweeping {
		time.AfterFunc(sweepInterval, d.sweep)
	}
}
