package supervision_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/portmesh/portmesh/aemp"
	sv "github.com/portmesh/portmesh/supervision"
)

// A foreign node does what a Perl node does when it is asked to spawn, monitor
// and kill, and knows nothing of supervision. One of generation 1 does not even
// know what it is asked first.
type foreign struct {
	conn       *aemp.Conn
	generation int
	asked      int             // how often it did not know what it was asked
	spawned    chan []any      // what was spawned: name, function, arguments
	ports      map[string]bool // those that there are
	monitored  map[string]bool // by the other node
	ended      chan struct{}   // closed when the connection has
}

// startForeign connects such a node to a realm.
func startForeign(t *testing.T, r *realm, generation int) *foreign {
	t.Helper()
	conn, err := aemp.Dial(t.Context(), r.node.Addresses()[0], aemp.Config{NodeID: "perl", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{conn: conn, generation: generation, spawned: make(chan []any, 10), ports: make(map[string]bool), monitored: make(map[string]bool),
		ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		for {
			port, m, err := conn.Receive()
			if err != nil {
				return
			}
			f.receive(port, m)
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-f.ended
	})
	return f
}

func (f *foreign) receive(port string, m aemp.Message) {
	tag, _ := m.Tag()
	if port != "" {
		if tag == "die" {
			f.die(port, "die", "told to")
		}
		return
	}
	var name string
	if len(m) > 1 {
		m[1:].Scan(&name)
	}
	switch tag {
	case "can":
		if f.generation == 1 {
			f.asked++
		} else {
			f.conn.Send(aemp.PortID(m[2].(string)).Name(), append(m[3:len(m):len(m)], "")...)
		}
	case "time":
		f.conn.Send(aemp.PortID(name).Name(), append(m[2:len(m):len(m)], 1e9)...)
	case "AnyEvent::MP::_spawn":
		if m[2] == "Worker::init" {
			f.ports[name] = true
		}
		f.spawned <- m[1:]
	case "mon1":
		if f.monitored[name] = f.ports[name]; !f.ports[name] {
			f.conn.Send("", "kil0", name, "no_such_port", "cannot monitor nonexistent port", "perl#"+name)
		}
	case "mon0":
		delete(f.monitored, name)
	case "kil", "kil1":
		f.die(name, m[2:]...)
	}
}

func (f *foreign) die(name string, reason ...any) {
	if f.monitored[name] {
		f.conn.Send("", append([]any{"kil0", name}, reason...)...)
	}
	delete(f.monitored, name)
	delete(f.ports, name)
}

func TestForeignChild(t *testing.T) {
	for _, generation := range []int{1, 2} {
		t.Run(fmt.Sprint("generation ", generation), func(t *testing.T) {
			r := newRealm(t)
			f := startForeign(t, r, generation)
			child := func(function string) sv.Child {
				return sv.Child{ID: "w", Name: "worker", Start: sv.Remote{Node: "perl", Function: function, Args: []any{sv.Self, 42}},
					Lost: sv.Lost{Wait: time.Minute}}
			}
			_, err := sv.Start(t.Context(), r.sys, sv.Spec{Children: []sv.Child{child("Broken::init")}})
			if failed, ok := errors.AsType[*sv.StartError](err); !ok || failed.Reason.Kind() != aemp.ReasonNoSuchPort {
				t.Errorf("got error %v", err)
			}
			<-f.spawned

			s, err := sv.Start(t.Context(), r.sys, sv.Spec{Intensity: 5, Children: []sv.Child{child("Worker::init")}})
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprint([]any{"worker", "Worker::init", string(s.Port()), 42})
			for range 2 {
				if got := fmt.Sprint(<-f.spawned); got != want {
					t.Errorf("spawned %s, want %s", got, want)
				}
				if e := r.want(sv.Started); e.Port != "perl#worker" {
					t.Errorf("the port is %s", e.Port)
				}
				if e, _ := s.Child(t.Context(), "w"); e.Restarts == 0 {
					r.sys.Send("perl#worker", "die")
					if e := r.want(sv.Died); e.Reason.String() != "die told to" {
						t.Errorf("died of %v", e.Reason)
					}
				}
			}

			// The process ends, and another one of the same name comes.
			f.conn.Close()
			<-f.ended
			if f.asked > 2 { // once by each supervisor
				t.Errorf("it was asked %d times", f.asked)
			}
			r.want(sv.NodeLost)
			g := startForeign(t, r, generation)
			if got := fmt.Sprint(<-g.spawned); got != want {
				t.Errorf("spawned %s, want %s", got, want)
			}
			r.want(sv.Started)
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if e := r.want(sv.Ended); e.Reason.String() != "shutdown" {
				t.Errorf("ended with %v", e.Reason)
			}
		})
	}
}
