package main

import (
	"strings"
	"testing"

	"github.com/portmesh/portmesh/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

func TestTwoProcesses(t *testing.T) {
	room := proctest.Start(t, "-address", "127.0.0.1:0", "room")
	_, address, _ := strings.Cut(room.Expect("house#room listens at "), " at ")
	out, err := proctest.Run(t, "-address", address, "say", "hello")
	if want := "the answer is: [\"heard\", 5]\n"; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	room.Expect("heard: hello")
}

func TestNobodyThere(t *testing.T) {
	out, err := proctest.Run(t, "-address", "127.0.0.1:1", "say", "hello")
	if err == nil || !strings.Contains(out, "transport_error house") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"shout"}, {"say"}, {"room", "5"}} {
		if out, err := proctest.Run(t, args...); err == nil || !strings.Contains(out, "usage:") {
			t.Errorf("%q: got %q, %v", args, out, err)
		}
	}
}
