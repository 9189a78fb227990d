package remote_test

import (
	"bufio"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/wiretest"
	"github.com/portmesh/portmesh/internal/wiretest/packets"
	"github.com/portmesh/portmesh/remote"
)

// The simplest client says all that it has to say without waiting for anything,
// and gets the answers that it got from Perl.
func TestReplaySimpleClient(t *testing.T) { replay(t, "-simple-client-", 2, replaySimpleClient) }

func replaySimpleClient(t *testing.T, rec *recording) {
	a := newMesh(t).start("alpha")
	a.registerPeer()
	got := make(chan actor.Message, 10)
	if _, err := a.sys.NamedPort(rec.packet(t, "snd", "simple", "hello").port, collect(got)); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", a.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	conversation := wiretest.Load(t, rec.name)[0]
	if _, err := nc.Write(conversation.Stream("simple")); err != nil {
		t.Fatal(err)
	}

	r := bufio.NewReader(nc)
	var lines [3]string
	for i := range lines {
		if lines[i], err = r.ReadString('\n'); err != nil {
			t.Fatalf("step connect, line %d: got %q, %v", i+1, lines[i], err)
		}
	}
	if g, err := aemp.ParseGreeting(strings.TrimSuffix(lines[0], "\n")); err != nil || g.Node != "alpha" {
		t.Errorf("step connect: got the greeting %q, %v", lines[0], err)
	}
	recorded, _ := conversation.Handshake("alpha")
	for i, want := range strings.Split(recorded[2], ";") {
		field := strings.Split(strings.TrimSpace(lines[2]), ";")[i]
		if i != 1 && field != want { // the second one is the digest
			t.Errorf("step connect: got the authentication line %q, want %q", lines[2], recorded[2])
		}
	}

	// Order is promised to a port only: a function and a port that dies answer
	// at the same time.
	want := make(map[string][]actor.Message)
	left := 0
	for _, step := range rec.steps {
		for _, p := range step.packets {
			if p.from == "alpha" && !rec.leftOut(p) {
				want[p.port] = append(want[p.port], p.message)
				left++
			}
		}
	}
	s := packets.NewSplitter(t, "json")
	answers := make(map[string][]actor.Message)
	for buf := make([]byte, 4096); left > 0; {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("got the answers %v, then %v; want %v", answers, err, want)
		}
		for _, p := range s.Split(t, buf[:n]) {
			answers[p.Port] = append(answers[p.Port], p.Message)
			left--
		}
	}
	if !reflect.DeepEqual(answers, want) {
		t.Errorf("the answers differ:\n%s", diff(answers, want))
	}
	for _, want := range []actor.Message{{"hello", "from simple"}, {"a", int64(1)}, {"b", int64(2)}} {
		if got := nextIn(t, "snd or whitespace", got); !reflect.DeepEqual(got, want) {
			t.Errorf("alpha's port received another message:\n%s", diff(got, want))
		}
	}

	nc.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("step down: got %q, %v, want the end", rest, err)
	}
}

// Whichever node we are, with the recorded lists of framings each side sends
// in the recorded one, and what it says is understood.
func TestReplayFramings(t *testing.T) {
	replay(t, "-framings-", 3, func(t *testing.T, rec *recording) {
		for _, us := range []string{"alpha", "beta"} {
			t.Run("as "+us, func(t *testing.T) { replayFramings(t, rec, us) })
		}
	})
}

func replayFramings(t *testing.T, rec *recording, us string) {
	connect, them := rec.asAlpha, "beta"
	if us == "beta" {
		connect, them = rec.asBeta, "alpha"
	}
	n, peer := connect(t, func(c *remote.Config) { c.Framings = rec.config(t, us).Framings })
	peer.same = func(want, got packet) bool {
		return want.port == got.port && reflect.DeepEqual(want.message, got.message)
	}
	sending, receiving := peer.conn.Framings()
	if receiving.Name() != rec.sends[us] || sending.Name() != rec.sends[them] {
		t.Fatalf("step connect: we send %s and are sent %s, want %s and %s", receiving.Name(), sending.Name(), rec.sends[us], rec.sends[them])
	}

	// What is said in step snd.
	message := func(string) actor.Message { return actor.Message{"hello", int64(1)} }
	if strings.Contains(rec.name, "mixed") {
		message = func(framing string) actor.Message { return append(actor.Message{"tag"}, everyKind(framing)...) }
	}
	said := 0
	for _, step := range rec.steps {
		for _, p := range step.packets {
			switch {
			case step.name != "snd" || rec.leftOut(p):
			case p.from == us:
				n.sys.Send(actor.NodeID(them).Port(p.port), message("")...)
				peer.expect(p)
				said++
			default:
				got := make(chan actor.Message, 1)
				if _, err := n.sys.NamedPort(p.port, collect(got)); err != nil {
					t.Fatal(err)
				}
				peer.write(p)
				if got, want := nextIn(t, step.name, got), message(rec.sends[them]); !reflect.DeepEqual(got, want) {
					t.Errorf("step snd: our port received another message:\n%s", diff(got, want))
				}
				said++
			}
		}
	}
	peer.fence("snd")
	if said == 0 {
		t.Error("nothing was said")
	}
}
