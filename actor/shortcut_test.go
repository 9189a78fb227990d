package actor

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"
)

// collector makes a port of that name that hands on what it gets, as it is.
func collectorNamed(t *testing.T, sys *System, name string) (PortID, chan Message) {
	t.Helper()
	got := make(chan Message, 100)
	port, err := sys.NamedPort(name, func(c *Context) error {
		c.Default(func(_ *Context, m Message) error {
			got <- m
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return port, got
}

func die(t *testing.T, sys *System, port PortID) {
	t.Helper()
	died := make(chan Reason, 1)
	sys.Monitor(port, func(r Reason) { died <- r })
	sys.Kill(port)
	select {
	case <-died:
	case <-time.After(10 * time.Second):
		t.Fatal("the port does not die")
	}
}

// Without shortcuts all would be as it is, but slower, and no other test would tell.
func TestShortcutIsTaken(t *testing.T) {
	sys := NewSystem()
	port, got := collectorNamed(t, sys, "p")
	for i := range 3 {
		sys.Send(port, "n", i)
		<-got
	}
	if _, box := sys.shortcuts.find("p"); box == nil {
		t.Error("there is no short way to a port that was sent to three times")
	}
}

// The name of a port that has died leads to the next of that name, and to nowhere
// in between.
func TestShortcutOfNameUsedAgain(t *testing.T) {
	sys := NewSystem()
	for round := range 50 {
		port, got := collectorNamed(t, sys, "again")
		for i := range 5 {
			sys.Send(port, round, i)
		}
		for i := range 5 {
			if m := <-got; fmt.Sprint(m) != fmt.Sprint(Message{round, i}) {
				t.Fatalf("round %d: got %v as message %d", round, m, i)
			}
		}
		die(t, sys, port)
		if _, box := sys.shortcuts.find("again"); box != nil {
			t.Fatal("there is a way to a port that has died")
		}
		sys.Send(port, "lost")
	}
}

// What a port held is not kept when it has died.
func TestShortcutKeepsNothing(t *testing.T) {
	sys := NewSystem()
	spawn := func() (PortID, weak.Pointer[[1 << 16]byte]) {
		state := new([1 << 16]byte)
		port := sys.Port(func(c *Context) error {
			c.Default(func(*Context, Message) error {
				state[0]++
				return nil
			})
			return nil
		})
		return port, weak.Make(state)
	}
	port, kept := spawn()
	for range 10 {
		sys.Send(port, "x")
	}
	die(t, sys, port)
	waitUntilGone(t, "the state of a dead port", kept)
	runtime.KeepAlive(sys)
}

// waitUntilGone waits until nobody holds what is kept by nothing but a weak pointer.
func waitUntilGone[T any](t *testing.T, what string, kept weak.Pointer[T]) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); kept.Value() != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", what)
		}
		runtime.GC()
	}
}
