package interop_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
)

// Data connections between a Perl node and ours, which know each other's
// addresses from the mesh. Perl 2.x has to be told where its function looks.
func TestInteropDataConn(t *testing.T) {
	for _, perl := range perltest.All(t) {
		t.Run(perl.Name(), func(t *testing.T) { dataConn(t, perl) })
	}
}

func dataConn(t *testing.T, perl perltest.Perl) {
	n := start(t, "go")
	startPerl(t, perl, "perl", n.address())
	if err := n.Node().Connect(t.Context(), "perl"); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	n.Node().HandleData("Go::data", func(conn net.Conn, from actor.NodeID, args actor.Message) {
		defer conn.Close()
		line, err := bufio.NewReader(conn).ReadString('\n')
		heard <- fmt.Sprintf("%s %s %q %v", from, args, line, err)
	})
	connect := `AnyEvent::MP::DataConn::connect_to ("go", 5, "Go::data", 7, sub { our $hdl = shift; $hdl->push_write ("a line\n") })`
	if perl.Generation() == 2 {
		connect = `db_family "'l", sub { $AnyEvent::MP::Global::addr{go} = [@{ $_[0]{go} }]; peval $port, sub { ` + connect + ` } }`
	} else {
		eventually(t, "Perl knows our address", func() bool {
			return n.eval(t, "perl", `scalar @{ $AnyEvent::MP::Global::addr{go} || [] }`).String() == "[1]"
		})
		connect = `peval $port, sub { ` + connect + ` }`
	}
	n.eval(t, "perl", `require AnyEvent::MP::DataConn; our $port = port { }; `+connect+`; 1`)
	select {
	case got := <-heard:
		if got != `perl [7] "a line\n" <nil>` {
			t.Errorf("got %s", got)
		}
	case <-time.After(patience):
		t.Fatal("there is no data connection from Perl")
	}

	n.eval(t, "perl", `sub Perl::data { my ($word, $hdl) = @_; our $mine = $hdl; $hdl->on_error (sub { });
		$hdl->push_read (line => sub { $_[0]->push_write ("$word $_[1]\n") }) } 1`)
	conn, err := n.Node().DialData(t.Context(), "perl", "Perl::data", "heard")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "a line\n")
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != "heard a line\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
