package actor_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/portmesh/portmesh/actor"
)

func TestEval(t *testing.T) {
	sys := newSystem(t)
	self, got := collector(sys)
	sys.HandleEval("use Watch::Dog (); Watch::Dog::restart; ()", func(from actor.NodeID) (actor.Message, error) {
		return actor.Message{"restarted by", from}, nil
	})
	sys.HandleEval("Broken::thing", func(actor.NodeID) (actor.Message, error) { return actor.Message{1}, errors.New("is broken") })
	const refused = "this node does not evaluate code\n"
	const prefix = "package AnyEvent::MP::Kernel; my $ECHO = 'a#b'; "
	for code, want := range map[string]actor.Message{
		"AnyEvent::MP::Kernel::up_nodes":        {""},
		" AnyEvent::MP::Kernel::up_nodes () ; ": {""},
		prefix + "up_nodes":                     {""},
		prefix + "known_nodes":                  {"", sys.Node()},
		prefix + "$NODE":                        {"", sys.Node()},
		"$AnyEvent::MP::NODE;":                  {"", sys.Node()},
		"$$":                                    {"", int64(os.Getpid())},
		"use Watch::Dog ();\n  Watch::Dog::restart; ()":       {"", "restarted by", sys.Node()},
		prefix + "use Watch::Dog (); Watch::Dog::restart; ()": {"", "restarted by", sys.Node()},
		"Broken::thing()":      {"is broken\n", int64(1)},
		"6 * 7":                {refused},
		"":                     {refused},
		"()":                   {refused},
		prefix:                 {refused},
		"up_nodes; system 'x'": {refused},
		"package x; my $ECHO = 'y'; system 'up_nodes'": {refused},
		strings.Repeat(" ", 5000) + "up_nodes":         {refused},
		"$$" + strings.Repeat("(", 4000):               {refused},
	} {
		sys.Send(sys.Node().NodePort(), "eval", code, self, "id")
		m := next(t, got)
		if m.String() != append(actor.Message{"id"}, want...).String() {
			t.Errorf("%.80q: got %v, want %v", code, m, want)
		}
	}
	sys.Send(sys.Node().NodePort(), "eval", prefix+"time", self)
	var failure string
	var now float64
	if m := next(t, got); m.Scan(&failure, &now) != nil || failure != "" || now < 1e9 {
		t.Errorf("got %v", m)
	}
	sys.HandleEval("Broken::thing", nil)
	sys.Send(sys.Node().NodePort(), "eval", "Broken::thing", self)
	if m := next(t, got); m[0] != refused {
		t.Errorf("got %v", m)
	}
}
