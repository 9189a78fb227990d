package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/supervision"
)

// local shows, for each strategy, what a supervisor does when a worker crashes.
func local(ctx context.Context) error {
	for _, strategy := range []supervision.Strategy{supervision.OneForOne, supervision.OneForAll, supervision.RestForOne} {
		if err := crash(ctx, strategy); err != nil {
			return err
		}
	}
	if err := dynamic(ctx); err != nil {
		return err
	}
	return escalation(ctx)
}

// worker is a port that crashes when it is told to.
func worker(c *actor.Context, _ actor.Message) error {
	c.Receive("crash", func(*actor.Context, actor.Message) error { return errors.New("I was told to crash") })
	return nil
}

func staff(id string) supervision.Child {
	return supervision.Child{ID: id, Name: id, Start: supervision.Local{Init: worker}}
}

func crash(ctx context.Context, strategy supervision.Strategy) error {
	step("%s: the supervisor starts ann, ben and cid, and ben crashes.", strategy)
	sys := actor.NewSystem(actor.WithLogger(silent))
	w := watch(sys)
	defer w.behind()
	sup, err := supervision.Start(ctx, sys, supervision.Spec{
		Strategy: strategy,
		Children: []supervision.Child{staff("ann"), staff("ben"), staff("cid")},
	})
	if err != nil {
		return err
	}
	if err := w.wait(ctx, 1, supervision.Up); err != nil {
		return err
	}
	sys.Send(sys.Node().Port("ben"), "crash")
	restarted := map[supervision.Strategy]int{supervision.OneForOne: 1, supervision.OneForAll: 3, supervision.RestForOne: 2}
	if err := w.wait(ctx, restarted[strategy], supervision.Started); err != nil {
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}
	return sup.Stop(ctx)
}

func dynamic(ctx context.Context) error {
	step("dynamic: many children of one kind, started when they are needed. The second crashes.")
	sys := actor.NewSystem(actor.WithLogger(silent))
	w := watch(sys)
	defer w.behind()
	sup, err := supervision.Start(ctx, sys, supervision.Spec{
		Strategy: supervision.Dynamic,
		Children: []supervision.Child{{ID: "worker", Start: supervision.Local{Init: worker}}},
	})
	if err != nil {
		return err
	}
	var ports []actor.PortID
	for range 3 {
		_, port, err := sup.StartDynamic(ctx)
		if err != nil {
			return err
		}
		ports = append(ports, port)
	}
	if err := w.wait(ctx, 3, supervision.Started); err != nil {
		return err
	}
	sys.Send(ports[1], "crash")
	if err := w.wait(ctx, 1, supervision.Started); err != nil {
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}
	return sup.Stop(ctx)
}

func escalation(ctx context.Context) error {
	step("Escalation: dan crashes twice, which is too often for his supervisor, the team.\nIt gives up, and the supervisor above starts it anew.")
	sys := actor.NewSystem(actor.WithLogger(silent))
	w := watch(sys)
	defer w.behind()
	sup, err := supervision.Start(ctx, sys, supervision.Spec{Children: []supervision.Child{
		staff("ann"),
		{ID: "team", Start: supervision.Spec{Children: []supervision.Child{staff("dan"), staff("eve")}}},
	}})
	if err != nil {
		return err
	}
	if err := w.wait(ctx, 2, supervision.Up); err != nil {
		return err
	}
	sys.Send(sys.Node().Port("dan"), "crash")
	if err := w.wait(ctx, 1, supervision.Started); err != nil {
		return err
	}
	sys.Send(sys.Node().Port("dan"), "crash")
	if err := w.wait(ctx, 3, supervision.Started); err != nil { // dan, eve, and the team
		return err
	}
	if err := show(ctx, sup); err != nil {
		return err
	}
	return sup.Stop(ctx)
}

// show prints the tree below a supervisor.
func show(ctx context.Context, sup *supervision.Supervisor) error {
	tree, err := sup.Tree(ctx)
	if err != nil {
		return err
	}
	fmt.Print(tree)
	return nil
}
