// Command typed shows messages that are structs in Go and lists on the wire.
//
//	go run ./examples/typed
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/remote"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintf(os.Stderr, "typed: unexpected argument %q\n", os.Args[1])
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "typed:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Second, errors.New("it took longer than 30 seconds"))
	defer cancel()

	// Two nodes in this process. What goes from one to the other goes over the
	// network nevertheless.
	secret := rand.Text()
	hill := actor.NewSystem()
	if err := actor.RegisterTyped(hill, "Station::new", newStation); err != nil {
		return err
	}
	there, err := remote.Start(ctx, hill, remote.Config{NodeID: "hill", Secret: secret, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		return err
	}
	defer there.Close()
	sys := actor.NewSystem()
	here, err := remote.Start(ctx, sys, remote.Config{NodeID: "valley", Secret: secret, Seeds: there.Addresses()})
	if err != nil {
		return err
	}
	defer here.Close()

	// The arguments of a spawn are a list; durations are seconds there.
	station := sys.Spawn("hill", "Station::new", "hilltop", time.Hour.Seconds())
	// As a struct, and as the list that it is on the wire. This is what a Perl
	// program would send by snd $station, reading => "roof", time, 21.5.
	now := time.Now()
	sys.Send(station, reading{Sensor: "roof", At: now, Celsius: 18.5, Notes: []string{"windy", "dry"}})
	sys.Send(station, "reading", "roof", now.Unix(), "21.5", "dry")
	sys.Send(station, reading{Sensor: "roof", At: now.Add(-2 * time.Hour), Celsius: -40}) // too old
	// These do not fit, and the station says what and where.
	sys.Send(station, "reading", "roof", now.Unix(), "warm")
	sys.Send(station, "reading", "roof")

	// The answer can be had as a list...
	list, err := sys.Call(ctx, station, "query", "roof")
	if err != nil {
		return err
	}
	fmt.Println("as a list:  ", list)

	// ... or as a struct, by whoever has a receiver for it.
	answers := make(chan summary, 1)
	desk := sys.Port(func(c *actor.Context) error {
		actor.On(c, func(_ *actor.Context, s summary) error { answers <- s; return nil })
		return c.Send(station, query{"roof", c.Self()})
	})
	select {
	case s := <-answers:
		fmt.Printf("as a struct: %d readings of the %s, from %g to %g degrees, notes %v\n", s.Count, s.Sensor, s.Range.Lowest, s.Range.Highest, s.Notes)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return sys.Kill(desk)
}
