package actor_test

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portmesh/portmesh/actor"
)

// goroutineID tells goroutines apart, in the only way there is.
func goroutineID() string {
	trace := make([]byte, 64)
	trace = trace[:runtime.Stack(trace, false)]
	return string(bytes.Fields(trace)[1])
}

// rest waits, in a bubble, for as long as an unused goroutine lives. A bubble
// must not end before its goroutines.
func rest() {
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
}

// occupy runs n functions at the same time and returns their goroutines.
func occupy(d *actor.Dispatcher, n int) (goroutines []string) {
	ids, release := make(chan string), make(chan struct{})
	var ended sync.WaitGroup
	for range n {
		ended.Add(1)
		d.Schedule(func() {
			defer ended.Done()
			ids <- goroutineID()
			<-release
		})
	}
	for range n {
		goroutines = append(goroutines, <-ids)
	}
	close(release)
	ended.Wait()
	return goroutines
}

// common returns how many goroutines are in both lists.
func common(a, b []string) (n int) {
	for _, id := range a {
		if slices.Contains(b, id) {
			n++
		}
	}
	return n
}

func TestDispatcherThroughput(t *testing.T) {
	for given, want := range map[int]int{0: 300, -1: 300, 7: 7} {
		if got := actor.NewDispatcher(given).Throughput(); got != want {
			t.Errorf("throughput of NewDispatcher(%d): got %d, want %d", given, got, want)
		}
	}
}

func TestDispatcherKeepsGoroutines(t *testing.T) {
	for _, test := range []struct {
		name    string
		running int
		want    int // how many of them are kept
	}{
		{"one", 1, 1},
		{"some", 20, 20},
		{"more than are kept", 1000, 256},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := actor.NewDispatcher(0)
				first := occupy(d, test.running)
				synctest.Wait()
				if got := common(first, occupy(d, test.running)); got != test.want {
					t.Errorf("got %d goroutines again, want %d", got, test.want)
				}
				rest()
				if got := common(first, occupy(d, test.running)); got != 0 {
					t.Errorf("got %d goroutines again after a rest, want none", got)
				}
				rest()
			})
		})
	}
}

// Goroutines that are used live on, beside others that are not.
func TestDispatcherEndsWhatIsUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := actor.NewDispatcher(0)
		first := occupy(d, 5)
		for range 5 {
			time.Sleep(90 * time.Millisecond)
			occupy(d, 2)
			synctest.Wait()
		}
		if got := common(first, occupy(d, 5)); got != 2 {
			t.Errorf("got %d of the first goroutines, want the 2 that were used", got)
		}
		rest()
	})
}

func TestDispatcherBlockedFunctions(t *testing.T) {
	d := actor.NewDispatcher(0)
	release := make(chan struct{})
	var blocked sync.WaitGroup
	for range 100 {
		blocked.Add(1)
		d.Schedule(func() {
			defer blocked.Done()
			<-release
		})
	}
	occupy(d, 1) // hangs if it has to wait for the others
	close(release)
	blocked.Wait()
}

func TestDispatcherGoexit(t *testing.T) {
	d := actor.NewDispatcher(0)
	ended := make(chan struct{})
	d.Schedule(func() {
		defer close(ended)
		runtime.Goexit()
	})
	<-ended
	occupy(d, 1)
}

func TestDispatcherConcurrentUse(t *testing.T) {
	d := actor.NewDispatcher(0)
	var ran atomic.Int64
	var running, schedulers sync.WaitGroup
	for range 8 {
		schedulers.Go(func() {
			for range 1000 {
				running.Add(1)
				d.Schedule(func() {
					ran.Add(1)
					running.Done()
				})
			}
		})
	}
	schedulers.Wait()
	running.Wait()
	if got := ran.Load(); got != 8000 {
		t.Errorf("got %d functions run, want 8000", got)
	}
}
