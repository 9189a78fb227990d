package interop_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// A Perl node that is frozen loses its connection when what is sent to it has not
// been read for long enough. When it goes on, it connects again.
func TestInteropFrozen(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { frozen(t, perl) })
	}
}

func frozen(t *testing.T, perl perltest.Perl) {
	n := startWith(t, remote.Config{NodeID: "go", PendingBytes: 64 << 10, MonitorTimeout: time.Second}, registry.Config{})
	p := startPerl(t, perl, "perl", n.address())
	if err := n.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	died := make(chan actor.Reason, 1)
	n.sys.Monitor("perl#echo", func(r actor.Reason) { died <- r })
	p.Signal(syscall.SIGSTOP)
	defer p.Signal(syscall.SIGCONT)
	nobody := actor.PortID("go#nobody")
	text := strings.Repeat("x", 64<<10)
	stop := make(chan struct{})
	sent := make(chan struct{})
	go func() { // more than all buffers on the way hold
		defer close(sent)
		for {
			select {
			case <-stop:
				return
			default:
				n.sys.Send("perl#echo", text, nobody)
			}
		}
	}()
	r := reason(t, died)
	close(stop)
	if r.Kind() != aemp.ReasonTransport {
		t.Errorf("got %v", r)
	}
	p.Signal(syscall.SIGCONT)
	<-sent
	eventually(t, "Perl answers again", func() bool {
		answer, err := n.sys.Call(t.Context(), "perl#echo", "hello")
		return err == nil && answer.String() == `["hello"]`
	})
}
