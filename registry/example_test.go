package registry_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// startAlone starts a node that is a mesh by itself. Others would have its
// address as their seed.
func startAlone() *registry.Registry {
	reg, err := registry.Start(context.Background(), actor.NewSystem(), remote.Config{
		NodeID: "here",
		Secret: "geheim",
		Listen: []string{"127.0.0.1:0"},
	}, registry.Config{Global: true})
	if err != nil {
		log.Fatal(err)
	}
	return reg
}

// A loop over the changes of a family follows it at its own pace.
func ExampleRegistry_Changes() {
	reg := startAlone()
	defer reg.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	step := 0
	for change, err := range reg.Changes(ctx, "colours") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.Content, "added", change.Added, "changed", change.Changed, "deleted", change.Deleted)
		switch step++; step {
		case 1:
			reg.Set("colours", "apple", "green") // on any node
		case 2:
			reg.Set("colours", "apple", "red")
		case 3:
			reg.Delete("colours", "apple")
		case 4:
			return
		}
	}
	// Output:
	// map[] added [] changed [] deleted []
	// map[apple:green] added [apple] changed [] deleted []
	// map[apple:red] added [] changed [apple] deleted []
	// map[] added [] changed [] deleted [apple]
}

func ExampleRegistry_WaitFor() {
	reg := startAlone()
	defer reg.Close()

	go func() {
		reg.Set("services", "printer", "on the second floor")
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	members, err := reg.WaitFor(ctx, "services")
	fmt.Println(members, err)
	// Output: map[printer:on the second floor] <nil>
}

// What other nodes have set is converted, and told of if it cannot be.
func ExampleFamilyOf() {
	reg := startAlone()
	defer reg.Close()

	load, err := registry.FamilyOf[float64](reg, "load")
	if err != nil {
		log.Fatal(err)
	}
	load.Set("here", 0.25)
	reg.Set("load", "perl", "1.5") // Perl does not tell strings from numbers
	reg.Set("load", "broken", "high")

	content, err := load.Content(context.Background())
	fmt.Println(content)
	fmt.Println(err)
	// Output:
	// map[here:0.25 perl:1.5]
	// registry: family "load", key "broken": wrong value: want float64, found string "high"
}

// worker returns a port that does jobs.
func worker(reg *registry.Registry, name string) actor.PortID {
	return reg.Node().System().Port(func(c *actor.Context) error {
		c.Receive("job", func(c *actor.Context, m actor.Message) error {
			return c.Respond(fmt.Sprintf("%s has done %v", name, m[0]))
		})
		return nil
	})
}

// A group shows who is there, and whose turn it is.
func ExampleGroup() {
	reg := startAlone()
	defer reg.Close()
	workers, err := reg.Group("workers")
	if err != nil {
		log.Fatal(err)
	}
	defer workers.Close()

	leave, err := workers.Join(worker(reg, "Ann"))
	if err != nil {
		log.Fatal(err)
	}
	ports, err := workers.Wait(context.Background())
	fmt.Println(len(ports), err)

	port, ok := workers.Next()
	fmt.Println(port == ports[0], ok)
	port, ok = workers.ForKey("customer 17") // the same one on every node
	fmt.Println(port == ports[0], ok)
	leave()
	// Output:
	// 1 <nil>
	// true true
	// true true
}

// A router is a port that stands for all members of a group. The answer comes
// from the member.
func ExampleGroup_Router() {
	reg := startAlone()
	defer reg.Close()
	sys := reg.Node().System()
	workers, err := reg.Group("workers")
	if err != nil {
		log.Fatal(err)
	}
	defer workers.Close()
	router := workers.Router(registry.ToNext, registry.RouterConfig{Wait: 10 * time.Second})

	// A message that comes before there is a worker waits for one.
	time.AfterFunc(10*time.Millisecond, func() { workers.Join(worker(reg, "Ann")) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := sys.Call(ctx, router, "job", "the dishes")
	fmt.Println(answer, err)
	// Output: ["Ann has done the dishes"] <nil>
}
