/*
Package supervision keeps ports running: supervisors that start them, restart
them when they die, and stop them in order, as in Erlang/OTP.

	sup, err := supervision.Start(ctx, sys, supervision.Spec{
		Strategy: supervision.RestForOne,
		Children: []supervision.Child{
			{ID: "store", Start: supervision.Local{Init: store}, Name: "store"},
			{ID: "web", Start: supervision.Task(serve)},
			{ID: "resizers", Start: supervision.Spec{
				Strategy: supervision.Dynamic,
				Children: []supervision.Child{{ID: "resizer", Start: supervision.Remote{
					Nodes: supervision.Members(reg, "resizers"), Function: "Resize::worker",
				}}},
			}},
		},
	})

Three types matter: the [Spec], a plain value that says what a supervisor
supervises; the [Child], which says how one child is started, restarted and
stopped; and the [Supervisor], which is one that runs.

# Children

A child is a function that makes a port here ([Local]), a protoactor-go actor
([Actor]), a function in a goroutine ([Task]), a port on another node, Go or
Perl ([Remote]), or another supervisor ([Spec], and on other nodes
[RegisterTree]).

Children are started from left to right, each when the one before has said that
it is ready; if one fails, those before are stopped again and the error tells
why. They are stopped from right to left. When one ends by itself, its
[Restart] type says whether it is restarted, and the [Strategy] which others are
with it. After too many restarts (Spec.Intensity) the supervisor gives up: it
stops its children and dies, so that its own supervisor decides.

# Other nodes

A child on another node is monitored. When the connection is lost, that is no
death: [Lost] says how long the supervisor waits for the node, and what happens
then. A child that was replaced is killed as soon as its node can be reached
again, and one that was started by a function of [Register] ends by itself when
it has been without its supervisor's node for long enough. Within these times
there may be two of it, on two sides of a broken network, since neither side can
know: Lost.Wait should be longer than Remote.Orphan and the time in which nodes
notice a loss (remote.Config.SilenceTimeout) together.

A system must be a node before it starts supervisors with children elsewhere.

# What it does not do

A supervisor that is killed cannot stop its children in order: they are killed.
Go code that does not return cannot be ended by anybody: such a child is told of
by an [Event] and taken for dead. State does not survive a restart; a name does
(Child.Name, Child.Announce).
*/
package supervision
