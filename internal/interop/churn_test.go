package interop_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/portmesh/portmesh/actor"
	"github.com/portmesh/portmesh/internal/perltest"
	"github.com/portmesh/portmesh/registry"
	"github.com/portmesh/portmesh/remote"
)

// churnRounds is how often something changes. More of them look for more.
const churnRounds = 10

// Perl nodes of both generations come and go, around a node of ours that is the
// seed and the bridge. Whenever that has settled, each of them knows exactly the
// others, and reaches them.
func TestInteropChurn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("the seed of chance is %d", seed)
	c := &churn{t: t, chance: rand.New(rand.NewPCG(seed, 0)), up: make(map[actor.NodeID]perlNode), perls: make(map[actor.NodeID]perltest.Perl)}
	for generation, ids := range map[int][]actor.NodeID{1: {"old1", "old2"}, 2: {"young1", "young2"}} {
		for _, id := range ids {
			c.perls[id] = perltest.Generation(t, generation)
		}
	}
	c.bridge = startWith(t, remote.Config{NodeID: "go"}, registry.Config{Bridge: []string{"echoes"}})
	start(t, "bystander", c.bridge.address())
	nodes := slices.Sorted(maps.Keys(c.perls))
	for _, id := range nodes {
		c.start(id)
	}
	c.settle()
	for range churnRounds {
		for range 1 + c.chance.IntN(2) {
			if id := nodes[c.chance.IntN(len(nodes))]; c.isUp(id) {
				c.stop(id)
			} else {
				c.start(id)
			}
		}
		c.settle()
	}
}

type churn struct {
	t      *testing.T
	chance *rand.Rand
	bridge goNode
	perls  map[actor.NodeID]perltest.Perl
	up     map[actor.NodeID]perlNode
	rounds int // that have been settled
}

func (c *churn) isUp(id actor.NodeID) bool {
	_, is := c.up[id]
	return is
}

func (c *churn) start(id actor.NodeID) {
	c.up[id] = startPerl(c.t, c.perls[id], string(id), c.bridge.address())
	if err := c.bridge.Node().Connect(c.t.Context(), id); err != nil {
		c.t.Fatal(err)
	}
	register := `use AnyEvent::MP::Global; our $guard = grp_reg echoes => "$NODE#echo"; 1`
	if c.perls[id].Generation() == 2 {
		register = `our $guard = db_reg echoes => "$NODE#echo"; our $watch = db_mon echoes => sub { our @echoes = keys %{ $_[0] } }; 1`
	}
	c.bridge.eval(c.t, id, register)
}

func (c *churn) stop(id actor.NodeID) {
	if c.chance.IntN(2) == 0 {
		c.up[id].Signal(os.Kill)
	} else {
		c.up[id].CloseInput()
	}
	c.up[id].Wait()
	delete(c.up, id)
}

// settle waits until every node knows exactly those that are up, and has heard the
// echo of each.
func (c *churn) settle() {
	c.rounds++
	var want actor.Message
	for _, id := range slices.Sorted(maps.Keys(c.up)) {
		want = append(want, string(id.Port("echo")))
	}
	for id := range c.up {
		members := `sort @main::echoes`
		if c.perls[id].Generation() == 1 {
			members = `sort @{ AnyEvent::MP::Global::grp_get ("echoes") || [] }`
		}
		eventually(c.t, fmt.Sprintf("%s knows %v", id, want), func() bool {
			return c.bridge.eval(c.t, id, members).String() == want.String()
		})
		// A message that is lost with a connection is sent again. Late echoes count
		// for the round that they belong to.
		echoes := fmt.Sprintf(`my $heard = $main::round{%d} ||= {};
			for my $echo (%s) { $heard->{$echo} or snd $echo, "ping", port { $heard->{$echo} = 1; kil $SELF } }
			sort keys %%$heard`, c.rounds, members)
		eventually(c.t, fmt.Sprintf("%s reaches %v", id, want), func() bool {
			return c.bridge.eval(c.t, id, echoes).String() == want.String()
		})
	}
}
