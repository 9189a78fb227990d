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
	tasks    queue           // that no goroutine has taken; if there are any, one is coming
	coming   bool            // a goroutine was called, and has not taken a task yet
	idle     []chan struct{} // of goroutines that wait, the latest last; each has room for one call
	unused   int             // how many at the front have waited since the last sweep
	sweeping bool            // a sweep is to come
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
	d.tasks.push(t)
	d.unlockAndCall()
}

// unlockAndCall has a goroutine come if there is a task. One comes at a time, and
// calls the next when it has taken a task: if it is a short one, it is done
// before the next goroutine is there, and takes the next task as well.
func (d *Dispatcher) unlockAndCall() {
	if d.coming || d.tasks.empty() {
		d.mu.Unlock()
		return
	}
	d.coming = true
	last := len(d.idle) - 1
	if last < 0 {
		d.mu.Unlock()
		go d.work()
		return
	}
	// The latest has the warmest stack, and lets the others grow old.
	call := d.idle[last]
	d.idle[last] = nil
	d.idle = d.idle[:last]
	d.unused = min(d.unused, last)
	d.mu.Unlock()
	call <- struct{}{}
}

// work is a goroutine that was called, and does tasks until it is not called for
// a while.
func (d *Dispatcher) work() {
	call := make(chan struct{}, 1)
	for called := true; called; _, called = <-call {
		d.mu.Lock()
		d.coming = false
		for !d.tasks.empty() {
			t := d.tasks.pop().(task)
			d.unlockAndCall()
			t.process()
			d.mu.Lock()
		}
		kept := d.wait(call)
		d.mu.Unlock()
		if !kept {
			return
		}
	}
}

// wait puts a goroutine among those that wait, if there is room. It is called
// with the lock held.
func (d *Dispatcher) wait(call chan struct{}) bool {
	if len(d.idle) == maxIdle {
		return false
	}
	d.idle = append(d.idle, call)
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
	for _, call := range d.idle[:d.unused] {
		close(call)
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
