// Command tls shows a mesh whose connections are encrypted, who gets in and who
// does not, and how a mesh gets a new certificate without a pause:
//
//	go run ./examples/tls
//	go run ./examples/tls -write mesh.pem    # make a certificate, for a mesh of yours
package main

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/aemp"
	"github.com/portmesh/portmesh/remote"
)

func main() {
	write := flag.String("write", "", "make a key and certificate, and write them to this `file`")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case *write != "":
		err = writeBundle(*write)
	default:
		err = demonstrate()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tls:", err)
		os.Exit(1)
	}
}

// newBundle makes what all nodes of a mesh hold: a key and its certificate.
func newBundle() ([]byte, error) {
	return aemp.GenerateCertificate(aemp.CertificateConfig{CommonName: "the mesh of examples/tls", Validity: 365 * 24 * time.Hour})
}

// writeBundle makes one and writes it to a file that does not exist yet, which
// nobody else may read: whoever has it belongs to the mesh.
func writeBundle(name string) error {
	bundle, err := newBundle()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(bundle)
	return errors.Join(err, f.Close())
}

func demonstrate() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Second, errors.New("it took longer than 30 seconds"))
	defer cancel()
	ours, err := newBundle()
	if err != nil {
		return err
	}
	theirs, err := newBundle()
	if err != nil {
		return err
	}

	fmt.Println("1. Who holds the certificate of the mesh gets in. There is no secret.")
	if err := tell(ctx, ours, ours); err != nil {
		return err
	}
	fmt.Println("2. Who holds another one does not.")
	if err := tell(ctx, ours, theirs); err != nil {
		return err
	}
	fmt.Println("3. Nor does who has none.")
	if err := tell(ctx, ours, nil); err != nil {
		return err
	}

	fmt.Println("4. The mesh gets a new certificate, node by node. First, all nodes are to trust the new one:")
	next, err := newBundle()
	if err != nil {
		return err
	}
	trustsNext := slices.Concat(ours, certificateOf(next)) // our key and certificate, and one more to trust
	if err := tell(ctx, trustsNext, ours); err != nil {
		return err
	}
	fmt.Println("   When all do, each can show the new one, and trust the old one for as long as others show it:")
	showsNext := slices.Concat(next, certificateOf(ours))
	if err := tell(ctx, trustsNext, showsNext); err != nil {
		return err
	}
	fmt.Println("   When all do, the old one can go:")
	if err := tell(ctx, showsNext, next); err != nil {
		return err
	}
	fmt.Println("   It does not get anybody in any more:")
	return tell(ctx, next, ours)
}

// certificateOf returns the first certificate of a bundle, without its key.
func certificateOf(bundle []byte) []byte {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return pem.EncodeToMemory(block)
		}
	}
	return nil
}

// tell starts a node with the first bundle, connects to it with the second, and
// tells what comes of it.
func tell(ctx context.Context, first, second []byte) error {
	config := remote.Config{NodeID: "first", Listen: []string{"127.0.0.1:0"}}
	var err error
	if config.TLS, err = aemp.NewTLSConfig(first); err != nil {
		return err
	}
	// The node would log whom it refuses; here we are on the other side as well.
	sys := actor.NewSystem(actor.WithLogger(slog.New(slog.DiscardHandler)))
	node, err := remote.Start(ctx, sys, config)
	if err != nil {
		return err
	}
	defer node.Close()

	// The other side is a client of the protocol, which is all it takes to see.
	client := aemp.Config{NodeID: "second"}
	if second == nil {
		client.Secret = "a guess"
	} else if client.TLS, err = aemp.NewTLSConfig(second); err != nil {
		return err
	}
	conn, err := aemp.Dial(ctx, node.Addresses()[0], client)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Println("   refused:", err)
		return nil
	}
	defer conn.Close()
	fmt.Printf("   connected to %s; encrypted: %t\n", conn.Remote().Node, conn.TLS())
	return nil
}
