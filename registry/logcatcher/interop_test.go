package logcatcher_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry/logcatcher"
)

// perlNode is a node that does what it is asked to by eval requests.
const perlNode = `
use strict; use warnings; use AnyEvent; use AnyEvent::MP; use AnyEvent::MP::LogCatcher;
configure nodeid => "perl", secret => "geheim", seeds => [$ARGV[0]], binds => ["127.0.0.1:0"];
my $stdin = AE::io *STDIN, 0, sub { exit 0 unless sysread STDIN, my $buffer, 1024 };
AE::cv->recv;
`

// Log records go from Go to Perl and back, with their levels.
func TestInteropLogCatcher(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) {
			a := start(t, "a")
			got := &lines{}
			stop, err := logcatcher.Collect(a.Registry, slog.LevelDebug, got.handler(slog.LevelDebug))
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			cmd := perl.Command("-e", perlNode, a.address())
			cmd.Env = append(cmd.Env, "PERL_ANYEVENT_VERBOSE=9", "AE_VERBOSE=9", "PERL_ANYEVENT_MP_WARNLEVEL=9")
			p := proctest.StartCommand(t, cmd)
			if err := a.Node().Connect(t.Context(), "perl"); err != nil {
				t.Fatal(err)
			}
			eval := func(code string) {
				t.Helper()
				answer, err := a.sys.Call(t.Context(), "perl", "eval", code+"; 1")
				if err != nil || answer.String() != `["", 1]` {
					t.Fatalf("%s: got %v, %v", code, answer, err)
				}
			}
			says := func(number int, text string) {
				t.Helper()
				if perl.Generation() == 1 {
					eval(fmt.Sprintf(`$AnyEvent::MP::Kernel::WARN->(%d, "%s")`, number, text))
				} else {
					eval(fmt.Sprintf(`AE::log (%d, "%s")`, number, text))
				}
			}
			for deadline := time.Now().Add(15 * time.Second); !strings.Contains(got.String(), "hello"); {
				if time.Now().After(deadline) {
					t.Fatal("nothing is collected")
				}
				says(7, "hello")
			}
			levels := map[int]map[int]string{
				1: {1: "level=ERROR", 2: "level=WARN", 7: "level=INFO", 8: "level=DEBUG"},
				2: {3: "level=ERROR+4", 4: "level=ERROR", 5: "level=WARN", 6: "level=INFO+2", 7: "level=INFO", 8: "level=DEBUG"},
			}
			for number, want := range levels[perl.Generation()] {
				says(number, fmt.Sprint("number ", number))
				got.wait(t, fmt.Sprintf("%s msg=\"number %d\" ", want, number))
			}

			eval(`AnyEvent::MP::LogCatcher::catch (8)`)
			for deadline := time.Now().Add(15 * time.Second); !a.log.Enabled(t.Context(), slog.LevelDebug); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the Perl node did not ask")
				}
			}
			a.log.Warn("go says", "k", "v w")
			if perl.Generation() == 1 {
				p.Expect(`[a] <2> go says k="v w"`)
				a.log.Error("go fails")
				p.Expect(`[a] <1> go fails`)
				return
			}
			p.Expect(`warn  Portmesh: [a] go says k="v w"`)
			a.log.Error("go fails")
			p.Expect(`error Portmesh: [a] go fails`)
		})
	}
}
