package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Actors does the works on any runtime of actors. A message has the tag
// "item", a number and a text.
type Actors struct{ System }

// A System is a runtime in this process. Adapters to it add as little as they
// can.
type System interface {
	// Address is how other processes reach the system.
	Address() string
	// Spawn makes an actor, which calls started before its first message. An
	// empty name means one that the runtime makes up.
	Spawn(name string, started func(), receive func(n int64, text string))
	// Sender returns a function that sends to the actor of that name. An empty
	// address is this system.
	Sender(address, name string) func(n int64, text string)
}

// The numbers of messages that are not part of what is measured; all others
// are not negative.
const (
	hello = -1 // with the address and the name that answers go to; the answer is another one
	last  = -2 // the answer's number is how many messages have come, in order
	start = -3
)

// Serve is the side of a work that answers.
func (a Actors) Serve(w Work, ready func(address string)) error {
	a.serveHere(w)
	ready(a.Address())
	return nil
}

func (a Actors) serveHere(w Work) {
	if w.Kind == Flood {
		a.spawnSink()
	}
	for i := range w.Pairs {
		a.spawnEcho(i)
	}
}

func nothing() {}

// spawnSink makes the actor that takes a flood.
func (a Actors) spawnSink() {
	var answer func(n int64, text string)
	var next int64
	a.Spawn("sink", nothing, func(n int64, text string) {
		switch n {
		case next:
			next++
		case hello:
			answer = a.Sender(split(text))
			answer(hello, "")
		case last:
			answer(next, "")
		}
	})
}

// spawnEcho makes an actor that sends back what it gets.
func (a Actors) spawnEcho(i int) {
	var answer func(n int64, text string)
	a.Spawn("echo"+strconv.Itoa(i), nothing, func(n int64, text string) {
		if n == hello {
			answer = a.Sender(split(text))
		}
		answer(n, text)
	})
}

// split takes apart the text of a hello.
func split(text string) (address, name string) {
	address, name, _ = strings.Cut(text, " ")
	return address, name
}

// Drive is the side of a work that measures.
func (a Actors) Drive(w Work, server string) (Measurement, error) {
	here := ""
	if w.Remote {
		here = a.Address()
	} else {
		a.serveHere(w)
	}
	switch w.Kind {
	case Flood:
		return a.flood(w, here, server)
	case PingPong:
		return a.pingPong(w, here, server)
	default:
		return a.spawnMany(w)
	}
}

// flood sends all messages and waits until they are there.
func (a Actors) flood(w Work, here, server string) (Measurement, error) {
	answers := make(chan int64, 1)
	a.Spawn("driver", nothing, func(n int64, _ string) { answers <- n })
	send := a.Sender(server, "sink")
	send(hello, here+" driver")
	<-answers
	text := strings.Repeat("x", w.Size)
	began := time.Now()
	for i := range w.Count {
		send(int64(i), text)
	}
	send(last, "")
	if n := <-answers; n != int64(w.Count) {
		return nil, fmt.Errorf("%d of %d messages came, in order", n, w.Count)
	}
	return Measurement{Rate: float64(w.Count) / time.Since(began).Seconds(), Messages: float64(w.Count)}, nil
}

// pingPong has pairs of actors send messages to each other for a while. Each
// message has the number of its place among those in flight.
func (a Actors) pingPong(w Work, here, server string) (Measurement, error) {
	var ready, done sync.WaitGroup
	text := strings.Repeat("x", w.Size)
	latencies := make([][]time.Duration, w.Pairs)
	for i := range w.Pairs {
		ready.Add(1)
		done.Add(1)
		send := a.Sender(server, "echo"+strconv.Itoa(i))
		sent := make([]time.Time, w.Flight)
		var end time.Time
		flying := 0
		a.Spawn("driver"+strconv.Itoa(i), nothing, func(n int64, _ string) {
			now := time.Now()
			switch n {
			case hello:
				ready.Done()
				return
			case start:
				end = now.Add(w.Duration)
				flying = w.Flight
				for n := range w.Flight {
					sent[n] = now
					send(int64(n), text)
				}
				return
			}
			latencies[i] = append(latencies[i], now.Sub(sent[n]))
			if now.Before(end) {
				sent[n] = now
				send(n, text)
			} else if flying--; flying == 0 {
				done.Done()
			}
		})
		send(hello, here+" driver"+strconv.Itoa(i))
	}
	ready.Wait()
	began := time.Now()
	for i := range w.Pairs {
		a.Sender("", "driver"+strconv.Itoa(i))(start, "")
	}
	done.Wait()
	return RoundTrips(slices.Concat(latencies...), time.Since(began)), nil
}

// RoundTrips makes a measurement of how long each took, and all together.
func RoundTrips(latencies []time.Duration, all time.Duration) Measurement {
	slices.Sort(latencies)
	quantile := func(q float64) float64 {
		return float64(latencies[int(q*float64(len(latencies)-1))]) / float64(time.Microsecond)
	}
	n := float64(len(latencies))
	return Measurement{Rate: n / all.Seconds(), Messages: 2 * n, P50: quantile(0.5), P99: quantile(0.99)}
}

// spawnMany makes actors that could receive but get nothing.
func (a Actors) spawnMany(w Work) (Measurement, error) {
	var started sync.WaitGroup
	started.Add(w.Count)
	before := InUse()
	began := time.Now()
	for range w.Count {
		a.Spawn("", started.Done, func(int64, string) {})
	}
	started.Wait()
	took := time.Since(began)
	m := Measurement{Rate: float64(w.Count) / took.Seconds(), PerActor: (InUse() - before) / float64(w.Count), Messages: float64(w.Count)}
	runtime.KeepAlive(a)
	return m, nil
}

// InUse returns the memory in use for anything but garbage.
func InUse() float64 {
	time.Sleep(300 * time.Millisecond) // goroutines without work end
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
