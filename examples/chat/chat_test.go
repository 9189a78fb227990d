package main

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/internal/proctest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

func TestMain(m *testing.M) { proctest.Main(m, main) }

// startServer starts a server and returns where it listens.
func startServer(t *testing.T, name, seed string, flags ...string) (*proctest.Process, string) {
	t.Helper()
	p := proctest.Start(t, append([]string{"serve", "-node", name, "-listen", "127.0.0.1:0", "-seeds", seed}, flags...)...)
	_, address, _ := strings.Cut(p.Expect("server "+name+" listens on "), " on ")
	return p, address
}

// startClient starts a client and waits until it has been welcomed.
func startClient(t *testing.T, name, seeds string) *proctest.Process {
	t.Helper()
	p := proctest.Start(t, "join", "-seeds", seeds, name)
	p.Expect("* looking for a server; /quit ends")
	p.Expect("* you are on ")
	return p
}

// nowhere is an address at which nothing listens.
const nowhere = "127.0.0.1:1"

func TestOneServer(t *testing.T) {
	server, seed := startServer(t, "red", nowhere)
	anna := startClient(t, "anna", seed)
	anna.Expect("* anna came to red")
	bert := startClient(t, "bert", seed)
	anna.Expect("* bert came to red")
	bert.Input("hello, anna")
	anna.Expect("bert: hello, anna")
	anna.Input("hello")
	bert.Expect("anna: hello")
	bert.Input("hi, \x1b[31manna")
	anna.Expect("bert: hi, \ufffd[31manna") // does not colour her terminal

	// Three ways to go, and one that fails to come.
	cleo := proctest.Start(t, "join", "-seeds", seed, "bert")
	cleo.Expect(`chat: refused the name "bert" is taken`)
	if cleo.Wait() == nil {
		t.Error("two members have the same name")
	}
	bert.Input("/quit")
	anna.Expect("* bert left")
	if err := bert.Wait(); err != nil {
		t.Error(err)
	}
	dora := startClient(t, "dora", seed)
	dora.Signal(syscall.SIGTERM)
	anna.Expect("* dora left")
	emil := startClient(t, "emil", seed)
	emil.Signal(os.Kill)
	anna.Expect("* emil is lost (transport_error ")
	startClient(t, "emil", seed) // the name is free again
	anna.Expect("* emil came to red")

	server.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	anna.Expect("* the server is gone (") // it was shut down, and then its node was
	anna.Input("is anybody there?")
	anna.Expect("* there is no server; nobody has heard that")
	anna.CloseInput()
	if err := anna.Wait(); err != nil {
		t.Error(err)
	}
}

func TestSeveralServers(t *testing.T) {
	red, seed := startServer(t, "red", nowhere)
	anna := startClient(t, "anna", seed) // on red: there is no other
	blue := proctest.Start(t, "serve", "-node", "blue", "-listen", "127.0.0.1:0", "-seeds", seed)
	var blueSeed, other string
	for blueSeed == "" || other == "" { // they come in either order
		line := blue.Expect("server ")
		if _, address, ok := strings.Cut(line, "blue listens on "); ok {
			blueSeed = address
		} else {
			other = line
		}
	}
	if other != "server red is there as well" {
		t.Errorf("got %q", other)
	}
	red.Expect("server blue is there as well")
	both := seed + "," + blueSeed
	// Clients choose by chance; some come to blue soon.
	var bert *proctest.Process
	for {
		bert = proctest.Start(t, "join", "-seeds", both, "bert")
		if strings.Contains(bert.Expect("* you are on "), "on blue") {
			break
		}
		bert.Input("/quit")
		bert.Wait()
	}
	anna.Expect("* bert came to blue")
	anna.Input("hello over there")
	bert.Expect("anna: hello over there")
	bert.Input("hello over here")
	anna.Expect("bert: hello over here")

	blue.Signal(os.Kill)
	anna.Expect("* server blue is gone")
	bert.Expect("* the server is gone (transport_error blue ")
	bert.Expect("* you are on red, with: anna")
	bert.Input("here I am again")
	anna.Expect("bert: here I am again")
}

// A server that dies is replaced by its supervisor, and the members join anew. One
// that dies again and again is given up.
func TestServerDies(t *testing.T) {
	server, seed := startServer(t, "red", nowhere)
	anna := startClient(t, "anna", seed)
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	reg, err := registry.Start(t.Context(), sys, remote.Config{NodeID: "killer", Secret: "portmesh-example", Seeds: []string{seed}}, registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	killed := make(map[string]bool)
	for change, err := range reg.Changes(t.Context(), servers) {
		if err != nil {
			t.Fatal(err)
		}
		for port := range change.Content {
			if !killed[port] {
				killed[port] = true
				sys.Send(actor.PortID(port), "servers", "nonsense") // does not fit
			}
		}
		if len(killed) == 1 && len(change.Content) == 1 {
			anna.Expect("* the server is gone (die ")
			anna.Expect("* you are on red")
		}
		if len(killed) == 2 { // within five seconds that is too much
			break
		}
	}
	if server.Wait() == nil {
		t.Error("the server ended without an error")
	}
	server.Expect("supervisor gives up")
	anna.Expect("* the server is gone (")
}

// With a certificate, only who holds it as well gets in.
func TestEncrypted(t *testing.T) {
	bundle, err := aemp.GenerateCertificate(aemp.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	cert := filepath.Join(t.TempDir(), "mesh.pem")
	if err := os.WriteFile(cert, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	_, seed := startServer(t, "red", nowhere, "-cert", cert)
	anna := proctest.Start(t, "join", "-seeds", seed, "-cert", cert, "-secret", "", "anna")
	anna.Expect("* you are on red")

	out, err := proctest.Run(t, "join", "-cert", "no such file", "anna")
	if err == nil || !strings.Contains(out, "no such file") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestBadArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"usage:":                                   nil,
		"who are you?":                             {"join"},
		`cannot make sense of "shout"`:             {"shout"},
		`cannot make sense of "serve now"`:         {"serve", "now"},
		"a name must not be empty":                 {"join", " "},
		"a name must not be longer than 30":        {"join", strings.Repeat("x", 31)},
		"a name must be printable":                 {"join", "a\tb"},
		"flag provided but not defined: -nonsense": {"join", "-nonsense"},
	} {
		out, err := proctest.Run(t, args...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%q: got %v\n%s\nwant %q", args, err, out, want)
		}
	}
}

// A Perl program is a member like any other.
func TestInterop(t *testing.T) {
	perl := perltest.Generation(t, 2)
	_, seed := startServer(t, "red", nowhere)
	anna := startClient(t, "anna", seed)
	larry := proctest.StartCommand(t, exec.Command(perl.Path, "member.pl", "larry", seed))
	larry.Expect("* you are on red, with: anna")
	anna.Expect("* larry came to red")
	anna.Input("there is more than one way to do it – größer")
	larry.Expect("anna: there is more than one way to do it – größer")
	larry.Input("süß")
	anna.Expect("larry: süß")
	second := proctest.StartCommand(t, exec.Command(perl.Path, "member.pl", "larry", seed))
	second.Expect(`refused: the name "larry" is taken`)
	larry.Input("/quit")
	anna.Expect("* larry left")
	if err := larry.Wait(); err != nil {
		t.Error(err)
	}
}
